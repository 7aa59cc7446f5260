// A token's copies for its experts, and what becomes of them. Single-threaded. `places` has, of
// each of so many tokens, which rows of the copies are its: `chosen` of every `stride` numbers.
#pragma once

#include <cstdint>

#include "base/dtype.h"

namespace waferstream {

struct CopiesOptions {
  Dtype dtype = Dtype::kF32;  // of the copies
  int64_t tokens = 0;
  int64_t chosen = 0;
  int64_t width = 0;  // elements of a row
  const int32_t* places = nullptr;
  int64_t stride = 0;
};

// Copies every row of x [tokens, width], of `dtype`, to its places.
void CopyTokens(const CopiesOptions& options, const void* x, void* copies);

// Sets d_x [tokens, width], or adds to it, given that of the copies, in fp32: in the order of a
// token's places.
void CopyTokensBackward(const CopiesOptions& options, const float* d_copies, bool accumulate,
                        float* d_x);

// out [tokens, width] = residual + sum over a token's copies of weight * copy, in the order of its
// places; weights [tokens, chosen]. `out` may be the residual.
void CombineCopies(const CopiesOptions& options, const void* copies, const float* weights,
                   const float* residual, float* out);

// Sets d_copies, of `dtype`, and d_weights, given d_out.
void CombineCopiesBackward(const CopiesOptions& options, const void* copies, const float* weights,
                           const float* d_out, void* d_copies, float* d_weights);

}  // namespace waferstream
