// Arithmetic on whole arrays that every role needs. Each function is single-threaded, allocates
// nothing, and gives the same bits whatever SIMD width the machine has.
#pragma once

#include <cstddef>

#include "base/dtype.h"

namespace waferstream {

// dst[i] += src[i]. The arrays are the same or do not overlap.
void Add(float* dst, const float* src, size_t n);

// Sum of x[i]^2 in double: 16 running sums, element i in sum i % 16, added pairwise at the end. Not
// finite exactly when an element is not (fp32 squares cannot overflow a double).
double SquareSum(const float* x, size_t n);

// Rounds to nearest, ties to even.
void ConvertToBf16(const float* src, Bf16* dst, size_t n);
void ConvertToFloat(const Bf16* src, float* dst, size_t n);

}  // namespace waferstream
