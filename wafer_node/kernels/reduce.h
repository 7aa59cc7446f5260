// Sums over rows.
#pragma once

#include <cstdint>

#include "base/dtype.h"

namespace waferstream {

// sum[j] += x[0][j] + x[1][j] + ..., in row order, in fp32; x is [rows, cols] of `dtype`, `stride`
// elements a row. The gradient of a bias. Single-threaded; columns are independent.
void ColumnSum(Dtype dtype, const void* x, int64_t rows, int64_t cols, int64_t stride, float* sum);

}  // namespace waferstream
