// Matrix product: C (+)= op(A) op(B) + bias.
//
// Single-threaded and deterministic: the same arguments give the same bits on every call and from
// any thread. Safe to call from several threads at once, each with its own workspace.
//
// In fp32, and whatever is portable, every CPU with fused multiply-adds gives the same bits; native
// bf16 depends on the instruction (Bf16Instruction).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/dtype.h"
#include "plan/kernel_workspace.h"

namespace waferstream {

// A right operand, as PackRight() made it, from some column on.
struct PackedRight {
  const void* data = nullptr;  // null: it was not packed
  int64_t depth = 0;           // of what was packed
  int64_t row = 0;             // of it, with which the product begins
};

// A row-major matrix of the product's input type. `stride` is the distance of rows in elements.
// `transposed` says that the product uses the transpose of what is stored.
struct MatrixIn {
  const void* data;
  int64_t stride;
  bool transposed = false;
  PackedRight packed = {};  // right operands: the same once more
};

// A row-major matrix to write.
struct MatrixOut {
  void* data;
  int64_t stride;
  Dtype dtype = Dtype::kF32;
};

// op(A) is [m, k], op(B) is [k, n], C is [m, n]; any of them may be 0.
struct GemmOptions {
  ProductKind kind = {};
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  bool wide_left = false;      // A is fp32 whatever the kind; where TakesWideLeft()
  bool accumulate = false;     // add to C (which is then fp32) instead of overwriting it
  const void* bias = nullptr;  // [n], added to every row; nullptr: none
  Dtype bias_dtype = Dtype::kF32;
};

// `workspace` has at least GemmWorkspaceBytes(kind, n, k) (plan/kernel_workspace.h) and is aligned
// to kWorkspaceAlignment. C overlaps nothing.
void Gemm(const GemmOptions& options, const MatrixIn& a, const MatrixIn& b, const MatrixOut& c,
          std::span<std::byte> workspace);

// The instruction of bf16 products where it is not the common one of the other kernels: "amx",
// "avx512_bf16" or "".
const char* Bf16Instruction();

// The target of Highway (hwy/targets.h) that all kernels run on. Highway's own word for what is
// supported is not to be had without its forgetting what was disabled.
int64_t KernelTarget();

// bf16 by pairs (AVX-512 BF16), where the CPU can, even if it is quicker without. Before the first
// product.
void ForcePairProducts();

// Whether products of this kind gain by a right operand that is packed once for many of them. The
// bits are the same either way.
bool PacksRight(ProductKind kind);

// Whether the left operand of a product of this kind may be fp32.
bool TakesWideLeft(ProductKind kind);

// Packs columns [first, first + count) of op(B) [k, n] to their place in `packed`, which has
// GemmPackedBytes(n, k) and kWorkspaceAlignment. `first` is a multiple of kGemmPanelColumnsMax, and
// so is `count` unless these are the last columns. Several threads may pack parts of one operand.
// Requires PacksRight(kind).
void PackRight(ProductKind kind, const MatrixIn& b, int64_t k, int64_t first, int64_t count,
               std::span<std::byte> packed);

// Rows [row, ..) of columns [column, ..) of what PackRight() made; both are multiples of
// kGemmPanelColumnsMax.
PackedRight PartOf(ProductKind kind, const PackedRight& packed, int64_t row, int64_t column);

// Whether this process keeps the portable order: its multiply-adds are fused, and the thread rounds
// to nearest and takes subnormal numbers as they are. Products of a portable kind ask for it.
bool CanBePortable();

}  // namespace waferstream
