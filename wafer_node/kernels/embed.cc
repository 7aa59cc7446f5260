#include "wafer_node/kernels/embed.h"

#include <algorithm>

#include "base/vector_math.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "wafer_node/kernels/embed.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "base/simd-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace waferstream {
namespace HWY_NAMESPACE {

void AddRow(Dtype dtype, const void* table, int64_t offset, float* dst, size_t n) {
  WithElement(dtype, [=](auto element) HWY_ATTR {
    const auto* row = static_cast<const decltype(element)*>(table) + offset;
    ForLanes(n, [=](auto d, size_t i) HWY_ATTR {
      hn::StoreU(hn::Add(hn::LoadU(d, dst + i), LoadFloats(d, row + i)), d, dst + i);
    });
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace waferstream
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace waferstream {
namespace {

HWY_EXPORT(AddRow);

bool Holds(const EmbeddingTile& tile, int64_t row) {
  return row >= tile.first_row && row < tile.first_row + tile.rows;
}

void CopyRow(Dtype dtype, const void* table, int64_t offset, float* dst, size_t n) {
  if (dtype == Dtype::kF32) {
    std::copy_n(static_cast<const float*>(table) + offset, n, dst);
  } else {
    ConvertToFloat(static_cast<const Bf16*>(table) + offset, dst, n);
  }
}

// Positions that the tile holds, of a sequence of `context` tokens.
int64_t PositionsEnd(const EmbeddingTile& tile, int64_t context) {
  return std::min(tile.first_row + tile.rows, context);
}

}  // namespace

void EmbedTokens(const EmbeddingTile& tile, Dtype dtype, const void* table, const int32_t* ids,
                 int64_t tokens, float* residual) {
  for (int64_t t = 0; t < tokens; ++t) {
    if (!Holds(tile, ids[t])) continue;
    const int64_t offset = (ids[t] - tile.first_row) * tile.hidden;
    CopyRow(dtype, table, offset, residual + t * tile.hidden, tile.hidden);
  }
}

void EmbedPositions(const EmbeddingTile& tile, Dtype dtype, const void* table, int64_t sequences,
                    int64_t context, float* residual) {
  for (int64_t s = 0; s < sequences; ++s) {
    for (int64_t p = tile.first_row; p < PositionsEnd(tile, context); ++p) {
      const int64_t offset = (p - tile.first_row) * tile.hidden;
      HWY_DYNAMIC_DISPATCH(AddRow)
      (dtype, table, offset, residual + (s * context + p) * tile.hidden, tile.hidden);
    }
  }
}

void EmbedTokensBackward(const EmbeddingTile& tile, const int32_t* ids, int64_t tokens,
                         const float* delta, float* gradient) {
  for (int64_t t = 0; t < tokens; ++t) {
    if (!Holds(tile, ids[t])) continue;
    const int64_t row = ids[t] - tile.first_row;
    Add(gradient + row * tile.hidden, delta + t * tile.hidden, tile.hidden);
  }
}

void EmbedPositionsBackward(const EmbeddingTile& tile, int64_t sequences, int64_t context,
                            const float* delta, float* gradient) {
  for (int64_t s = 0; s < sequences; ++s) {
    for (int64_t p = tile.first_row; p < PositionsEnd(tile, context); ++p) {
      const int64_t row = p - tile.first_row;
      Add(gradient + row * tile.hidden, delta + (s * context + p) * tile.hidden, tile.hidden);
    }
  }
}

}  // namespace waferstream
#endif
