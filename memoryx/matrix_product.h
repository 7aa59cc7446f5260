// Products of fp32 matrices whose bits depend on nothing but the operands: every element of a
// product is its row times its column, summed in the order of the inner index, each product rounded
// before it is added. So neither SIMD width, nor caches, nor threads are in it.
#pragma once

#include <cstddef>

#include "base/parallel.h"

namespace waferstream {

// out [rows, cols] = a [rows, inner] b [inner, cols], all row-major and dense; `out` overlaps
// neither.
void MultiplyMatrices(Parallel& parallel, size_t rows, size_t inner, size_t cols, const float* a,
                      const float* b, float* out);

// out [cols, rows] = a [rows, cols]^T; they do not overlap.
void TransposeMatrix(Parallel& parallel, size_t rows, size_t cols, const float* a, float* out);

}  // namespace waferstream
