// LayerNorm: y = (x - mean(x)) * rstd(x) * gamma + beta, row by row, in fp32.
//
// Single-threaded; rows are independent, except in the parameters' gradients, which are summed in
// row order. Backward recomputes mean and rstd from x, so nothing is kept from forward.
#pragma once

#include <cstdint>

#include "base/dtype.h"

namespace waferstream {

struct LayerNormOptions {
  int64_t rows = 0;
  int64_t hidden = 0;
  float epsilon = 1e-5f;
  Dtype parameters = Dtype::kF32;  // of gamma and beta, both [hidden]
};

// x [rows, hidden] -> out [rows, hidden] of `out_dtype`.
void LayerNormForward(const LayerNormOptions& options, const float* x, const void* gamma,
                      const void* beta, Dtype out_dtype, void* out);

// d_out [rows, hidden] is the gradient of the output. Adds the gradient of x to delta
// [rows, hidden], and those of the parameters, row after row, to d_gamma and d_beta [hidden]. Calls
// over consecutive rows with the same d_gamma and d_beta give the bits of one call over all.
void LayerNormBackward(const LayerNormOptions& options, const float* x, const void* gamma,
                       const float* d_out, float* delta, float* d_gamma, float* d_beta);

}  // namespace waferstream
