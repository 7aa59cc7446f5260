// Bytes of workspace that one kernel call needs. The planner reserves, for every kernel thread, the
// largest over the calls of the job; a kernel checks what it is given against the same formula.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/dtype.h"

namespace waferstream {

constexpr size_t kWorkspaceAlignment = 64;

// What all products of a job have in common.
struct ProductKind {
  Dtype dtype = Dtype::kF32;  // of the factors; sums are always fp32
  bool portable = false;      // added in the order of docs/adr/0041, whatever the CPU
};

constexpr size_t RoundUp(size_t value, size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// Gemm() works on blocks of C. On AMX tiles it packs a block's rows of A, and the columns of B of
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

// Everywhere else both operands go into panels of entries of 4 bytes, one or two values each: of A
// a block's rows, of B some columns at a time, of both at most so many steps of the summed
// dimension; and a lot of columns has fp32 sums. These are bounds: panels are as wide as the CPU's
// registers.
constexpr size_t kGemmPanelRowsMax = 8;
constexpr size_t kGemmPanelColumnsMax = 32;
constexpr size_t kGemmPanelSteps = 256;
constexpr size_t kGemmPanelEntryBytes = 4;
constexpr size_t kGemmPanelColumnsAtOnce = 128;

// Columns of a lot: all of them in lots of nearly one size, as A is packed anew for each.
constexpr size_t kGemmLotColumnsMax = 384;
constexpr size_t GemmLotColumns(size_t n) {
  const size_t lots = std::max<size_t>((n + kGemmLotColumnsMax - 1) / kGemmLotColumnsMax, 1);
  return RoundUp(std::max<size_t>((n + lots - 1) / lots, 1), kGemmPanelColumnsMax);
}

constexpr size_t GemmPanelBytes(size_t n, size_t k) {
  const size_t rows = kGemmBlockRows + kGemmPanelRowsMax;
  const size_t packed = (kGemmPanelColumnsAtOnce + rows) * std::min(k, kGemmPanelSteps);
  // Not GemmLotColumns(n), which may fall where n grows: what suffices for n suffices for fewer.
  const size_t lot =
      std::min(RoundUp(std::max<size_t>(n, 1), kGemmPanelColumnsMax), kGemmLotColumnsMax);
  const size_t sums = rows * (lot + kGemmSumsPadding);
  return packed * kGemmPanelEntryBytes + sums * sizeof(float);
}

constexpr size_t GemmTileBytes(size_t n, size_t k) {
  const size_t packed =
      (kGemmBlockRows + GemmPackedColumns(n, k)) * GemmPackedDepth(k) * BytesOf(Dtype::kBf16);
  return packed + kGemmBlockRows * (kGemmBlockColumns + kGemmSumsPadding) * sizeof(float);
}

// Whether products of this kind are made by panels on every CPU; those of the others on AMX tiles
// where there are some.
constexpr bool AlwaysUsesPanels(ProductKind kind) {
  return kind.portable || kind.dtype == Dtype::kF32;
}

// Enough for every way, because the plan knows no machine.
constexpr size_t GemmWorkspaceBytes(ProductKind kind, size_t n, size_t k) {
  if (AlwaysUsesPanels(kind)) return GemmPanelBytes(n, k);
  return std::max(GemmPanelBytes(n, k), GemmTileBytes(n, k));
}

// The whole of a right operand [k, n] in panels, packed once for many products.
constexpr size_t GemmPackedBytes(size_t n, size_t k) {
  return RoundUp(n, kGemmPanelColumnsMax) * k * kGemmPanelEntryBytes;
}

// Queries that attention works on at a time: fewer where products take fp32 scores as they are,
// more where they convert and pack them.
constexpr size_t AttentionBlock(bool takes_scores) { return takes_scores ? 64 : 128; }

// Elements from a row of a block of scores to the next, so that rows do not all map to one set of a
// cache.
constexpr size_t AttentionStride(size_t tokens) { return RoundUp(tokens, 16) + kGemmSumsPadding; }

// Scores of a block of queries, with the probabilities beside them where those are not fp32.
constexpr size_t AttentionBlockBytes(ProductKind kind, size_t tokens) {
  const size_t element = sizeof(float) + (AlwaysUsesPanels(kind) ? 0 : BytesOf(kind.dtype));
  return AttentionBlock(AlwaysUsesPanels(kind)) * AttentionStride(tokens) * element;
}

// A head's keys or values as the right operands of products, `times` over.
constexpr size_t AttentionPackedBytes(size_t tokens, size_t head_dim, size_t times) {
  return times * std::max(GemmPackedBytes(tokens, head_dim), GemmPackedBytes(head_dim, tokens));
}

// Scores and probabilities of a block of queries, packed keys and values, and what the products
// need.
constexpr size_t AttentionForwardWorkspaceBytes(ProductKind kind, size_t tokens, size_t head_dim) {
  const size_t gemm = std::max(GemmWorkspaceBytes(kind, tokens, head_dim),
                               GemmWorkspaceBytes(kind, head_dim, tokens));
  return AttentionBlockBytes(kind, tokens) + AttentionPackedBytes(tokens, head_dim, 2) + gemm;
}

// Twice as many scores (for the gradients of both), the keys packed in two ways, and the fp32 sums
// of the key's and value's gradients.
constexpr size_t AttentionBackwardWorkspaceBytes(ProductKind kind, size_t tokens, size_t head_dim) {
  const size_t sums = RoundUp(tokens * head_dim * sizeof(float), kWorkspaceAlignment);
  const size_t gemm = std::max({GemmWorkspaceBytes(kind, tokens, head_dim),
                                GemmWorkspaceBytes(kind, head_dim, tokens),
                                GemmWorkspaceBytes(kind, head_dim, AttentionBlock(false))});
  return 2 * AttentionBlockBytes(kind, tokens) + 2 * sums +
         AttentionPackedBytes(tokens, head_dim, 3) + gemm;
}

}  // namespace waferstream
