// GELU, elementwise, computed in fp32: u * Phi(u), with Phi the normal distribution (exact), or its
// approximation by tanh. Single-threaded.
#pragma once

#include <cstddef>

#include "base/dtype.h"

namespace waferstream {

enum class GeluBy { kTanh, kErf };

// out[i] = gelu(u[i]); both of `dtype`. In place is allowed.
void GeluForward(GeluBy by, Dtype dtype, const void* u, void* out, size_t n);

// d_u[i] = d_out[i] * gelu'(u[i]); u and d_u of `dtype`. d_u may be u, or, in fp32, d_out.
void GeluBackward(GeluBy by, Dtype dtype, const void* u, const float* d_out, void* d_u, size_t n);

}  // namespace waferstream
