#include "wafer_node/kernels/embed.h"

#include <gtest/gtest.h>

#include <vector>

#include "wafer_node/kernels/reference.h"

namespace waferstream {
namespace {

using reference::Typed;

constexpr int64_t kVocabulary = 11, kSequences = 2, kContext = 7, kTokens = kSequences * kContext;
const std::vector<int32_t> kIds = {3, 0, 10, 3, 3, 5, 9, 1, 3, 0, 10, 2, 7, 3};

const void* RowOf(Typed& table, int64_t row, int64_t hidden) {
  return static_cast<std::byte*>(table.data()) + row * hidden * BytesOf(table.dtype);
}

TEST(EmbedTest, TilesTogetherGiveTokensPlusPositions) {
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    for (int64_t hidden : {1, 15, 33}) {
      Typed tokens = reference::Random(dtype, kVocabulary * hidden, 1);
      Typed positions = reference::Random(dtype, kContext * hidden, 2);
      std::vector<float> residual(kTokens * hidden, 1e9f);
      for (const EmbeddingTile tile : {EmbeddingTile{0, 4, hidden}, EmbeddingTile{4, 7, hidden}}) {
        EmbedTokens(tile, dtype, RowOf(tokens, tile.first_row, hidden), kIds.data(), kTokens,
                    residual.data());
      }
      for (const EmbeddingTile tile : {EmbeddingTile{0, 6, hidden}, EmbeddingTile{6, 1, hidden}}) {
        EmbedPositions(tile, dtype, RowOf(positions, tile.first_row, hidden), kSequences, kContext,
                       residual.data());
      }
      for (int64_t t = 0; t < kTokens; ++t) {
        for (int64_t j = 0; j < hidden; ++j) {
          const float token = tokens.at(kIds[t] * hidden + j);
          const float position = positions.at(t % kContext * hidden + j);
          EXPECT_EQ(residual[t * hidden + j], token + position);
        }
      }
    }
  }
}

// A table longer than the context: its tail is neither read for, nor written by, any token.
TEST(EmbedTest, PositionsBeyondTheContextStayAlone) {
  const EmbeddingTile tile{kContext - 1, 3, 4};
  Typed table = reference::Random(Dtype::kF32, size_t{3} * 4, 1);
  std::vector<float> residual(kTokens * 4), gradient(size_t{3} * 4);
  EmbedPositions(tile, Dtype::kF32, table.data(), kSequences, kContext, residual.data());
  for (int64_t t = 0; t < kTokens; ++t) {
    const bool last = t % kContext == kContext - 1;
    EXPECT_EQ(residual[t * 4], last ? table.wide[0] : 0.0f);
  }
  const std::vector<float> delta(kTokens * 4, 1.0f);
  EmbedPositionsBackward(tile, kSequences, kContext, delta.data(), gradient.data());
  EXPECT_EQ(gradient, std::vector<float>({2, 2, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0}));
}

TEST(EmbedTest, BackwardAddsInTokenOrder) {
  const int64_t hidden = 17;
  const Typed delta = reference::Random(Dtype::kF32, kTokens * hidden, 1, 1e3);
  std::vector<float> tokens(kVocabulary * hidden), positions(kContext * hidden);
  std::vector<float> want_tokens = tokens, want_positions = positions;
  for (int64_t t = 0; t < kTokens; ++t) {
    for (int64_t j = 0; j < hidden; ++j) {
      want_tokens[kIds[t] * hidden + j] += delta.wide[t * hidden + j];
      want_positions[t % kContext * hidden + j] += delta.wide[t * hidden + j];
    }
  }
  for (const EmbeddingTile tile : {EmbeddingTile{0, 4, hidden}, EmbeddingTile{4, 7, hidden}}) {
    EmbedTokensBackward(tile, kIds.data(), kTokens, delta.wide.data(),
                        tokens.data() + tile.first_row * hidden);
    EmbedPositionsBackward(tile, kSequences, kContext, delta.wide.data(),
                           positions.data() + tile.first_row * hidden);
  }
  EXPECT_EQ(tokens, want_tokens);
  EXPECT_EQ(positions, want_positions);
}

}  // namespace
}  // namespace waferstream
