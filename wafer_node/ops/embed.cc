// Embedding tables, a tile at a time. Token ids are not a value of the graph: they come from the
// data.
#include "wafer_node/kernels/embed.h"

#include <algorithm>

#include "wafer_node/activation.h"
#include "wafer_node/ops/kinds.h"

namespace waferstream {
namespace {

const int32_t* Ids(const OpContext& c, int resident, int64_t row = 0) {
  return c.at.As<int32_t>(SramBuffer::kTokenIds, resident) + row;
}

// Makes the one gradient of an op: add(resident, rows, out) adds to rows of the tile.
template <typename AddRows>
void TableGradient(const OpContext& c, AddRows add) {
  const int64_t hidden = Read(c, 0).width;
  const Tile& tile = c.plan.tiles[c.plan.program.gradient_stream[c.op().gradients[0]].tile];
  const int chunks = static_cast<int>(SpanCount(tile.rows, kGradientRows));
  c.parallel.For(chunks, [&](int i, int) {
    const RowSpan chunk = SpanAt(tile.rows, kGradientRows, i);
    const EmbeddingTile rows{tile.first_row + chunk.first, chunk.count, hidden};
    const int64_t first = chunk.first * hidden, count = chunk.count * hidden;
    for (int r = 0; r < c.wave.resident(); ++r) {
      float* out = c.Staging(0, r) + first;
      std::fill_n(out, count, 0.0f);
      add(r, rows, out);
      c.FinishStaged(0, r, first, count);
    }
  });
}

}  // namespace

void EmbedTokensOp(const OpContext& c) {
  const Activation out = Written(c);
  const EmbeddingTile tile{c.tile().first_row, c.tile().rows, out.width};
  c.ForRows([&](int r, RowSpan rows, int) {
    EmbedTokens(tile, c.dtype(), c.weights(), Ids(c, r, rows.first), rows.count,
                out.Floats(c, r, rows.first));
  });
}

void EmbedTokensBackwardOp(const OpContext& c) {
  const Activation delta = Read(c, 0);
  TableGradient(c, [&](int r, const EmbeddingTile& rows, float* out) {
    EmbedTokensBackward(rows, Ids(c, r), c.wave.tokens(), delta.Floats(c, r), out);
  });
}

void EmbedPositionsOp(const OpContext& c) {
  const Activation out = Written(c);
  const EmbeddingTile tile{c.tile().first_row, c.tile().rows, out.width};
  const std::vector<Document>& documents = c.wave.documents;
  c.parallel.For(static_cast<int>(documents.size()), [&](int i, int) {
    const Document& document = documents[i];
    EmbedPositions(tile, c.dtype(), c.weights(), 1, document.rows.count,
                   out.Floats(c, document.resident, document.rows.first));
  });
}

void EmbedPositionsBackwardOp(const OpContext& c) {
  const Activation delta = Read(c, 0);
  TableGradient(c, [&](int r, const EmbeddingTile& rows, float* out) {
    for (const Document& document : c.wave.DocumentsOf(r)) {
      const RowSpan tokens = document.rows;
      EmbedPositionsBackward(rows, 1, tokens.count, delta.Floats(c, r, tokens.first), out);
    }
  });
}

}  // namespace waferstream
