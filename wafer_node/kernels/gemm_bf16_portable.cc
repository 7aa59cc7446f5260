#include <algorithm>

#include "base/status.h"
#include "base/vector_math.h"
#include "plan/kernel_workspace.h"
#include "wafer_node/kernels/gemm_bf16.h"
#include "wafer_node/kernels/gemm_f32.h"
#include "wafer_node/kernels/gemm_write.h"

namespace waferstream {
namespace {

// fp32 copies of a quarter of the block: they fit where the packed forms do.
constexpr int64_t kRows = kGemmBlockRows / 2;
constexpr int64_t kColumns = kGemmBlockColumns / 4;

// op(X)[row.., col..] as an fp32 copy, stored as X is.
MatrixIn Copy(const MatrixIn& x, int64_t row, int64_t rows, int64_t col, int64_t cols, float* to) {
  if (x.transposed) {
    std::swap(row, col);
    std::swap(rows, cols);
  }
  const Bf16* from = static_cast<const Bf16*>(x.data) + row * x.stride + col;
  for (int64_t i = 0; i < rows; ++i) ConvertToFloat(from + i * x.stride, to + i * cols, cols);
  return {to, cols, x.transposed};
}

}  // namespace

void GemmBf16Portable(const GemmOptions& options, const MatrixIn& a, const MatrixIn& b,
                      const MatrixOut& c, std::span<std::byte> workspace) {
  float* b_copy = reinterpret_cast<float*>(workspace.data());
  float* a_copy = b_copy + kColumns * options.k;
  float* sums = a_copy + kRows * options.k;
  WS_CHECK(reinterpret_cast<std::byte*>(sums + kRows * kColumns) <=
           workspace.data() + workspace.size());
  for (int64_t col = 0; col < options.n; col += kColumns) {
    const int64_t n = std::min(kColumns, options.n - col);
    const MatrixIn b_block = Copy(b, 0, options.k, col, n, b_copy);
    for (int64_t row = 0; row < options.m; row += kRows) {
      const int64_t m = std::min(kRows, options.m - row);
      const MatrixIn a_block = Copy(a, row, m, 0, options.k, a_copy);
      Sgemm({.m = m, .n = n, .k = options.k}, a_block, b_block, sums, n);
      WriteGemmBlock(options, {.row = row, .column = col, .rows = m, .columns = n}, sums, n, c);
    }
  }
}

}  // namespace waferstream
