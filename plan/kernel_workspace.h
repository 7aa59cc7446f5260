// Bytes of workspace that one kernel call needs. The planner reserves, for every kernel thread, the
// largest over the calls of the job; a kernel checks what it is given against the same formula.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/dtype.h"

namespace waferstream {

constexpr size_t kWorkspaceAlignment = 64;

constexpr size_t RoundUp(size_t value, size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// Gemm() works on blocks of C. For bf16 it packs a block's rows of A, and the columns of B of
// several blocks, over the whole summed dimension, and sums into one fp32 block: together what a
// core's L2 cache holds.
constexpr size_t kGemmBlockRows = 256;
constexpr size_t kGemmBlockColumns = 256;
constexpr size_t kGemmDepthStep = 32;
// Elements between the rows of the sums' block, so that rows do not all map to one set of a cache.
constexpr size_t kGemmSumsPadding = 16;

// Columns of B that are packed together. A is packed anew for each lot, so as many as 2.5 MiB hold.
constexpr size_t GemmPackedColumns(size_t n, size_t k) {
  constexpr size_t kStep = 128, kFewest = 128, kMost = 1024, kPackedElements = size_t{5} << 18;
  const size_t fits = kPackedElements / std::max<size_t>(k, 1) / kStep * kStep;
  return std::min(std::clamp(fits, kFewest, kMost), RoundUp(std::max<size_t>(n, 1), kStep));
}

// Even an empty sum is packed as one step of zeros.
constexpr size_t GemmPackedDepth(size_t k) {
  return RoundUp(std::max<size_t>(k, 1), kGemmDepthStep);
}

constexpr size_t GemmWorkspaceBytes(Dtype dtype, size_t n, size_t k) {
  if (dtype == Dtype::kF32) return 0;
  const size_t depth = GemmPackedDepth(k);
  const size_t columns = GemmPackedColumns(n, k);
  const size_t packed = (kGemmBlockRows + columns) * depth * BytesOf(Dtype::kBf16);
  return packed + kGemmBlockRows * (kGemmBlockColumns + kGemmSumsPadding) * sizeof(float);
}

// Queries that attention works on at a time.
constexpr size_t kAttentionBlock = 128;

// Scores and probabilities of a block of queries, and what the products need.
constexpr size_t AttentionForwardWorkspaceBytes(Dtype dtype, size_t tokens, size_t head_dim) {
  const size_t block = kAttentionBlock * RoundUp(tokens, kWorkspaceAlignment);
  const size_t gemm = std::max(GemmWorkspaceBytes(dtype, tokens, head_dim),
                               GemmWorkspaceBytes(dtype, head_dim, tokens));
  return block * (sizeof(float) + BytesOf(dtype)) + gemm;
}

// The same twice (for the gradients of both), and the fp32 sums of the key's and value's gradients.
constexpr size_t AttentionBackwardWorkspaceBytes(Dtype dtype, size_t tokens, size_t head_dim) {
  const size_t block = kAttentionBlock * RoundUp(tokens, kWorkspaceAlignment);
  const size_t sums = RoundUp(tokens * head_dim * sizeof(float), kWorkspaceAlignment);
  const size_t gemm = std::max({GemmWorkspaceBytes(dtype, tokens, head_dim),
                                GemmWorkspaceBytes(dtype, head_dim, tokens),
                                GemmWorkspaceBytes(dtype, head_dim, kAttentionBlock)});
  return 2 * block * (sizeof(float) + BytesOf(dtype)) + 2 * sums + gemm;
}

}  // namespace waferstream
