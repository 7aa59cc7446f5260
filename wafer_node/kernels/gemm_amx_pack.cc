#include "wafer_node/kernels/gemm_amx_pack.h"

// GCC 12 takes its own _mm512_undefined_epi32() for a mistake of ours.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#include <immintrin.h>

#include <algorithm>

#include "plan/kernel_workspace.h"

namespace waferstream {
namespace {

// 16 lines of 16 pairs each. A line is a row or column of the operand (pairs along the summed
// dimension), or, transposed, a pair of the summed dimension (of 16 rows or columns).
struct Tile {
  __m512i line[16];
};

// What a tile covers: up to 16 lines of up to 32 values along the summed dimension.
struct Extent {
  int64_t lines;
  int64_t depth;
};

AMX_TARGET inline uint32_t LowBits(int64_t count) {
  return count >= 32 ? ~uint32_t{0} : (uint32_t{1} << std::max<int64_t>(count, 0)) - 1;
}

// The summed dimension is contiguous in memory: line i is `stride` elements after line i - 1.
AMX_TARGET inline void LoadLines(const Bf16* from, int64_t stride, Extent extent, Tile& tile) {
  const __mmask32 mask = LowBits(extent.depth);
  for (int64_t i = 0; i < 16; ++i) {
    tile.line[i] = i < extent.lines ? _mm512_maskz_loadu_epi16(mask, from + i * stride)
                                    : _mm512_setzero_si512();
  }
}

// The lines are contiguous in memory: makes line p from values 2p and 2p + 1 of the summed
// dimension, which are `stride` elements apart.
AMX_TARGET inline void LoadPairs(const Bf16* from, int64_t stride, Extent extent, Tile& tile) {
  const __mmask16 mask = LowBits(extent.lines) & 0xffff;
  for (int64_t p = 0; p < 16; ++p) {
    const Bf16* even = from + 2 * p * stride;
    const __m256i zero = _mm256_setzero_si256();
    const __m256i low = 2 * p < extent.depth ? _mm256_maskz_loadu_epi16(mask, even) : zero;
    const __m256i high =
        2 * p + 1 < extent.depth ? _mm256_maskz_loadu_epi16(mask, even + stride) : zero;
    tile.line[p] = _mm512_or_si512(_mm512_cvtepu16_epi32(low),
                                   _mm512_slli_epi32(_mm512_cvtepu16_epi32(high), 16));
  }
}

// Transposes the 16 x 16 pairs: inside 128-bit lanes first, then the lanes.
AMX_TARGET inline void Transpose(Tile& tile) {
  __m512i(&x)[16] = tile.line;
  __m512i y[16];
  for (int i = 0; i < 16; i += 4) {
    const __m512i a = _mm512_unpacklo_epi32(x[i], x[i + 1]);
    const __m512i b = _mm512_unpackhi_epi32(x[i], x[i + 1]);
    const __m512i c = _mm512_unpacklo_epi32(x[i + 2], x[i + 3]);
    const __m512i d = _mm512_unpackhi_epi32(x[i + 2], x[i + 3]);
    y[i] = _mm512_unpacklo_epi64(a, c);
    y[i + 1] = _mm512_unpackhi_epi64(a, c);
    y[i + 2] = _mm512_unpacklo_epi64(b, d);
    y[i + 3] = _mm512_unpackhi_epi64(b, d);
  }
  // y[4 r + j] holds columns j, j + 4, j + 8, j + 12 of rows 4 r .. 4 r + 3, one in each lane.
  for (int j = 0; j < 4; ++j) {
    const __m512i a = _mm512_shuffle_i32x4(y[j], y[4 + j], 0x88);
    const __m512i b = _mm512_shuffle_i32x4(y[8 + j], y[12 + j], 0x88);
    const __m512i c = _mm512_shuffle_i32x4(y[j], y[4 + j], 0xdd);
    const __m512i d = _mm512_shuffle_i32x4(y[8 + j], y[12 + j], 0xdd);
    x[j] = _mm512_shuffle_i32x4(a, b, 0x88);
    x[j + 8] = _mm512_shuffle_i32x4(a, b, 0xdd);
    x[j + 4] = _mm512_shuffle_i32x4(c, d, 0x88);
    x[j + 12] = _mm512_shuffle_i32x4(c, d, 0xdd);
  }
}

AMX_TARGET inline void Store(const Tile& tile, Bf16* to) {
  for (int i = 0; i < 16; ++i) _mm512_store_si512(to + i * kAmxDepth, tile.line[i]);
}

// An operand as packing sees it: lines are rows of the left, columns of the right one.
struct Operand {
  const Bf16* data;
  int64_t stride;
  int64_t lines;
  int64_t depth;
};

// `kDepthContiguous`: how the operand lies in memory. `kLineByLine`: what a tile's line is to be.
template <bool kDepthContiguous, bool kLineByLine>
AMX_TARGET void Pack(const Operand& x, Bf16* to) {
  const int64_t packed_depth = GemmPackedDepth(x.depth);
  for (int64_t square = 0; square < x.lines; square += kAmxSquare) {
    for (int64_t depth = 0; depth < packed_depth; depth += kAmxDepth) {
      for (int64_t half = 0; half < kAmxSquare; half += kAmxTileRows) {
        const int64_t line = square + half;
        const Extent extent = {x.lines - line, x.depth - depth};
        Tile tile;
        if constexpr (kDepthContiguous) {
          LoadLines(x.data + line * x.stride + depth, x.stride, extent, tile);
        } else {
          LoadPairs(x.data + depth * x.stride + line, x.stride, extent, tile);
        }
        if constexpr (kDepthContiguous != kLineByLine) Transpose(tile);
        Store(tile, to);
        to += kAmxTileElements;
      }
    }
  }
}

}  // namespace

void PackLeft(const MatrixIn& a, int64_t row, int64_t m, int64_t k, Bf16* to) {
  const Bf16* data = static_cast<const Bf16*>(a.data) + row * (a.transposed ? 1 : a.stride);
  const Operand x = {data, a.stride, m, k};
  a.transposed ? Pack<false, true>(x, to) : Pack<true, true>(x, to);
}

void PackRight(const MatrixIn& b, int64_t column, int64_t n, int64_t k, Bf16* to) {
  const Bf16* data = static_cast<const Bf16*>(b.data) + column * (b.transposed ? b.stride : 1);
  const Operand x = {data, b.stride, n, k};
  b.transposed ? Pack<true, false>(x, to) : Pack<false, false>(x, to);
}

}  // namespace waferstream
