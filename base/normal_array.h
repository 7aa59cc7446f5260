// Many normal values at once.
#pragma once

#include <cstdint>

#include "base/philox.h"

namespace waferstream {

// values[i] = the float nearest to deviation * Normal(seed, purpose, step, e / 2)[e % 2], e = first
// + i, for n values. Logarithm, sine and cosine are our own and differ from the C library's in the
// last bit of a double at times, which shows in one float of some ten million; they have the same
// bits on every CPU and for any partition of an array. One thread.
void FillNormal(uint64_t seed, Purpose purpose, uint64_t step, double deviation, uint64_t first,
                uint64_t n, float* values);

}  // namespace waferstream
