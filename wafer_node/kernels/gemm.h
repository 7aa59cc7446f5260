// Matrix product: C (+)= op(A) op(B) + bias.
//
// Single-threaded and deterministic: the same arguments give the same bits on every call and from
// any thread. Safe to call from several threads at once, each with its own workspace. The first
// call on a thread pins OpenMP to one thread there, for otherwise oneDNN would choose how it splits
// the summed dimension by the number of cores.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/dtype.h"

namespace waferstream {

// A row-major matrix of the product's input type. `stride` is the distance of rows in elements.
// `transposed` says that the product uses the transpose of what is stored.
struct MatrixIn {
  const void* data;
  int64_t stride;
  bool transposed = false;
  const void* packed = nullptr;  // right operands: the same, as PackRight made it; or nullptr
};

// A row-major matrix to write.
struct MatrixOut {
  void* data;
  int64_t stride;
  Dtype dtype = Dtype::kF32;
};

// op(A) is [m, k], op(B) is [k, n], C is [m, n]; any of them may be 0.
struct GemmOptions {
  Dtype dtype = Dtype::kF32;  // of A and B; sums are always fp32
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  bool accumulate = false;     // add to C (which is then fp32) instead of overwriting it
  const void* bias = nullptr;  // [n], added to every row; nullptr: none
  Dtype bias_dtype = Dtype::kF32;
};

// `workspace` has at least GemmWorkspaceBytes(dtype, n, k) (plan/kernel_workspace.h) and is aligned
// to kWorkspaceAlignment. C overlaps nothing.
void Gemm(const GemmOptions& options, const MatrixIn& a, const MatrixIn& b, const MatrixOut& c,
          std::span<std::byte> workspace);

// The instruction of bf16 products where it is not the common one of the other kernels: "amx",
// "avx512_bf16" or "".
const char* Bf16Instruction();

// bf16 by pairs (AVX-512 BF16), where the CPU can, even if it is quicker without. Before the first
// product.
void ForcePairProducts();

// Whether products of this dtype gain by a right operand that is packed once for many of them. The
// bits are the same either way.
bool PacksRight(Dtype dtype);

// Packs columns [first, first + count) of op(B) [k, n] to their place in `packed`, which has
// GemmPackedBytes(n, k) and kWorkspaceAlignment. `first` is a multiple of kGemmPanelColumnsMax, and
// so is `count` unless these are the last columns. Several threads may pack parts of one operand.
// Requires PacksRight(bf16).
void PackRight(const MatrixIn& b, int64_t k, int64_t first, int64_t count,
               std::span<std::byte> packed);

// Where columns [first, ..) are within what PackRight() made; `first` as there.
const void* PackedColumns(const void* packed, int64_t k, int64_t first);

}  // namespace waferstream
