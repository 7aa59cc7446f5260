// A projection: one tile's columns of the output at a time.
#include <algorithm>

#include "wafer_node/activation.h"
#include "wafer_node/kernels/gemm.h"
#include "wafer_node/kernels/reduce.h"
#include "wafer_node/ops/kinds.h"
#include "wafer_node/right_operand.h"

namespace waferstream {
namespace {

// Starts the output with the residual that is added to it: the tile's columns only.
void CopyColumns(const OpContext& c, const Activation& residual, int resident, RowSpan rows) {
  const Activation output = Written(c);
  const Tile& tile = c.tile();
  for (int64_t row = rows.first; row < rows.first + rows.count; ++row) {
    const std::byte* from = residual.Of(c, resident, row, tile.first_row);
    std::copy_n(from, tile.rows * sizeof(float), output.Of(c, resident, row, tile.first_row));
  }
}

// Rows `chunk` of the gradient of the tile, the op's `g`: output_delta^T input, for one micro-batch
// after another.
void TileGradient(const OpContext& c, int g, RowSpan chunk, int thread) {
  const Activation input = Read(c, 0), output_delta = Read(c, 1);
  const int64_t width = input.width;
  const int64_t first = chunk.first * width;
  for (int r = 0; r < c.wave.resident(); ++r) {
    const std::byte* delta = output_delta.Of(c, r, 0, c.tile().first_row + chunk.first);
    Gemm({.kind = c.products(), .m = chunk.count, .n = width, .k = c.wave.tokens()},
         {delta, output_delta.width, true}, {input.Of(c, r), width},
         {c.Staging(g, r) + first, width}, c.Workspace(thread));
    c.FinishStaged(g, r, first, chunk.count * width);
  }
}

// The gradient of the bias: of the whole matrix, when its last tile is here.
void BiasGradient(const OpContext& c, int g, RowSpan columns) {
  const Activation output_delta = Read(c, 1);
  for (int r = 0; r < c.wave.resident(); ++r) {
    float* sum = c.Staging(g, r) + columns.first;
    std::fill_n(sum, columns.count, 0.0f);
    ColumnSum(c.dtype(), output_delta.Of(c, r, 0, columns.first), c.wave.tokens(), columns.count,
              output_delta.width, sum);
    c.FinishStaged(g, r, columns.first, columns.count);
  }
}

// The tile's part of the gradient of the input: output_delta W, in plan order of the tiles.
void AddInputDelta(const OpContext& c, const MatrixIn& weights, int resident, RowSpan rows,
                   int thread) {
  const Activation output_delta = Read(c, 1), delta = Written(c);
  Gemm({.kind = c.products(),
        .m = rows.count,
        .n = delta.width,
        .k = c.tile().rows,
        .accumulate = c.op().accumulate},
       {output_delta.Of(c, resident, rows.first, c.tile().first_row), output_delta.width}, weights,
       {delta.Of(c, resident, rows.first), delta.width}, c.Workspace(thread));
}

}  // namespace

void MatmulOp(const OpContext& c) {
  const Activation input = Read(c, 0), output = Written(c);
  const Tile& tile = c.tile();
  const bool has_residual = c.operation().reads.size() > 1;
  const bool has_bias = c.in.tiles.size() > 1;
  const MatrixIn weights = RightOperand(c, TileUse::kForward);
  c.ForRows([&](int r, RowSpan rows, int thread) {
    if (has_residual) CopyColumns(c, Read(c, 1), r, rows);
    const GemmOptions options{
        .kind = c.products(),
        .m = rows.count,
        .n = tile.rows,
        .k = input.width,
        .accumulate = has_residual,
        .bias = has_bias ? ElementAt(c.in.tiles[0], c.dtype(), tile.first_row) : nullptr,
        .bias_dtype = c.dtype()};
    Gemm(options, {input.Of(c, r, rows.first), input.width}, weights,
         {output.Of(c, r, rows.first, tile.first_row), output.width, output.dtype},
         c.Workspace(thread));
  });
}

void MatmulBackwardOp(const OpContext& c) {
  const Tile& tile = c.tile();
  const int64_t outputs = Read(c, 1).width, tokens = c.wave.tokens();
  const int weight = c.GradientOf(c.node().matrices[0]);
  const int bias = c.node().vectors.empty() ? -1 : c.GradientOf(c.node().vectors[0]);
  const int chunks = weight < 0 ? 0 : static_cast<int>(SpanCount(tile.rows, kGradientRows));
  const int bias_chunks = bias < 0 ? 0 : static_cast<int>(SpanCount(outputs, kGradientRows));
  const int spans = static_cast<int>(SpanCount(tokens, kUnitRows));
  const MatrixIn weights = RightOperand(c, TileUse::kBackward);
  // The largest units first, so that no thread is left with one at the end.
  c.parallel.For(chunks + c.wave.resident() * spans + bias_chunks, [&](int i, int thread) {
    if (i < chunks) return TileGradient(c, weight, SpanAt(tile.rows, kGradientRows, i), thread);
    i -= chunks;
    if (i < c.wave.resident() * spans) {
      return AddInputDelta(c, weights, i / spans, SpanAt(tokens, kUnitRows, i % spans), thread);
    }
    BiasGradient(c, bias, SpanAt(outputs, kGradientRows, i - c.wave.resident() * spans));
  });
}

}  // namespace waferstream
