#include "wafer_node/kernels/gemm_amx.h"

#include <asm/prctl.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "base/status.h"
#include "oneapi/dnnl/dnnl.h"
#include "plan/kernel_workspace.h"
#include "wafer_node/kernels/gemm_amx_pack.h"
#include "wafer_node/kernels/gemm_write.h"

namespace waferstream {
namespace {

// A block of C, and what goes into it, while it is being computed. C is cut into squares of two by
// two tiles, `rows` and `columns` are whole squares.
struct Panel {
  const Bf16* a;  // packed, kGemmBlockRows at the most
  const Bf16* b;  // packed
  float* sums;    // row-major
  int64_t sums_stride;
  int64_t rows;
  int64_t columns;
  int64_t steps;  // of kAmxDepth along the summed dimension
};

// Depth of both operands of a square that stays in the L1 cache with it: 2 x 16 KiB.
constexpr int64_t kStepsAtOnce = 8;

// Eight tiles of 16 rows of 64 bytes.
struct alignas(64) TileShapes {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// sums += a b over `steps`, for one square of 2 x 2 tiles.
AMX_TARGET void MultiplySquare(const Bf16* a, const Bf16* b, int64_t steps, bool first, float* sums,
                               int64_t stride_bytes) {
  float* const lower = sums + kAmxTileRows * stride_bytes / sizeof(float);
  if (first) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    _tile_loadd(0, sums, stride_bytes);
    _tile_loadd(1, sums + kAmxTileRows, stride_bytes);
    _tile_loadd(2, lower, stride_bytes);
    _tile_loadd(3, lower + kAmxTileRows, stride_bytes);
  }
  for (int64_t step = 0; step < steps; ++step) {
    _tile_loadd(4, a, 64);
    _tile_loadd(6, b, 64);
    _tile_loadd(7, b + kAmxTileElements, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(5, a + kAmxTileElements, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
    a += 2 * kAmxTileElements;
    b += 2 * kAmxTileElements;
  }
  _tile_stored(0, sums, stride_bytes);
  _tile_stored(1, sums + kAmxTileRows, stride_bytes);
  _tile_stored(2, lower, stride_bytes);
  _tile_stored(3, lower + kAmxTileRows, stride_bytes);
}

AMX_TARGET void MultiplyPanel(const Panel& p) {
  // GCC does not know that the tile loads read memory: nothing may be written after them that was
  // written before them.
  asm volatile("" ::: "memory");
  const int64_t packed_square = p.steps * 2 * kAmxTileElements;
  for (int64_t step = 0; step < p.steps; step += kStepsAtOnce) {
    const int64_t steps = std::min(kStepsAtOnce, p.steps - step);
    const int64_t at = step * 2 * kAmxTileElements;
    for (int64_t column = 0; column < p.columns; column += kAmxSquare) {
      const Bf16* b = p.b + column / kAmxSquare * packed_square + at;
      for (int64_t row = 0; row < p.rows; row += kAmxSquare) {
        MultiplySquare(p.a + row / kAmxSquare * packed_square + at, b, steps, step == 0,
                       p.sums + row * p.sums_stride + column, p.sums_stride * sizeof(float));
      }
    }
  }
}

bool AskForTiles() {
  constexpr int kRequestPermission = 0x1023, kTileData = 18;
  // oneDNN's choice, so that its environment variable for a lower instruction set holds here too.
  const bool wanted =
      (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_amx) == dnnl_cpu_isa_avx512_core_amx;
  return wanted && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

bool HasAmx() {
  static const bool has = AskForTiles();
  return has;
}

AMX_TARGET void GemmBf16Amx(const GemmOptions& options, const MatrixIn& a, const MatrixIn& b,
                            const MatrixOut& c, std::span<std::byte> workspace) {
  const int64_t columns_packed = GemmPackedColumns(options.n, options.k);
  const int64_t depth = GemmPackedDepth(options.k);
  Bf16* const b_packed = reinterpret_cast<Bf16*>(workspace.data());
  Bf16* const a_packed = b_packed + columns_packed * depth;
  float* const sums = reinterpret_cast<float*>(a_packed + kGemmBlockRows * depth);
  constexpr int64_t stride = kGemmBlockColumns + kGemmSumsPadding;
  WS_CHECK(reinterpret_cast<std::byte*>(sums + kGemmBlockRows * stride) <=
           workspace.data() + workspace.size());
  const TileShapes shapes;
  _tile_loadconfig(&shapes);
  for (int64_t packed = 0; packed < options.n; packed += columns_packed) {
    const int64_t packed_end = std::min(packed + columns_packed, options.n);
    PackRight(b, packed, packed_end - packed, options.k, b_packed);
    for (int64_t row = 0; row < options.m; row += kGemmBlockRows) {
      const int64_t m = std::min<int64_t>(kGemmBlockRows, options.m - row);
      PackLeft(a, row, m, options.k, a_packed);
      for (int64_t column = packed; column < packed_end; column += kGemmBlockColumns) {
        const int64_t n = std::min<int64_t>(kGemmBlockColumns, packed_end - column);
        MultiplyPanel({.a = a_packed,
                       .b = b_packed + (column - packed) * depth,
                       .sums = sums,
                       .sums_stride = stride,
                       .rows = m,
                       .columns = n,
                       .steps = depth / kAmxDepth});
        WriteGemmBlock(options, {.row = row, .column = column, .rows = m, .columns = n}, sums,
                       stride, c);
      }
    }
  }
  _tile_release();
}

}  // namespace waferstream
