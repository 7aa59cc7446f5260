// The end of a product: from an fp32 block of sums to C.
#pragma once

#include <cstdint>

#include "wafer_node/kernels/gemm.h"

namespace waferstream {

// Where a block of sums lies in C.
struct GemmBlock {
  int64_t row = 0;
  int64_t column = 0;
  int64_t rows = 0;
  int64_t columns = 0;
};

// C[block] (+)= sums + bias; `sums` has `stride` elements a row.
void WriteGemmBlock(const GemmOptions& options, const GemmBlock& block, const float* sums,
                    int64_t stride, const MatrixOut& c);

}  // namespace waferstream
