// Embedding tables, tile by tile. Single-threaded. Forward tokens are independent; backward adds in
// token order.
#pragma once

#include <cstdint>

#include "base/dtype.h"

namespace waferstream {

// Rows [first_row, first_row + rows) of a table [.., hidden]: one row a token id, or one a
// position.
struct EmbeddingTile {
  int64_t first_row = 0;
  int64_t rows = 0;
  int64_t hidden = 0;
};

// Sets residual[t] [tokens, hidden] to the embedding of ids[t], for those t whose id the tile
// holds.
void EmbedTokens(const EmbeddingTile& tile, Dtype dtype, const void* table, const int32_t* ids,
                 int64_t tokens, float* residual);

// Adds to residual[s * context + p] the embedding of position p, for the positions that the tile
// holds, in each of the sequences s of `context` tokens.
void EmbedPositions(const EmbeddingTile& tile, Dtype dtype, const void* table, int64_t sequences,
                    int64_t context, float* residual);

// Adds delta[t] to the gradient [rows, hidden] row of ids[t], for t in order.
void EmbedTokensBackward(const EmbeddingTile& tile, const int32_t* ids, int64_t tokens,
                         const float* delta, float* gradient);

// Adds to the gradient [rows, hidden] of every position the deltas of the sequences, in order.
void EmbedPositionsBackward(const EmbeddingTile& tile, int64_t sequences, int64_t context,
                            const float* delta, float* gradient);

}  // namespace waferstream
