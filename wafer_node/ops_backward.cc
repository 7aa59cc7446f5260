#include <algorithm>

#include "base/vector_math.h"
#include "wafer_node/heads.h"
#include "wafer_node/kernels/embed.h"
#include "wafer_node/kernels/gelu.h"
#include "wafer_node/kernels/gemm.h"
#include "wafer_node/kernels/norm.h"
#include "wafer_node/kernels/reduce.h"
#include "wafer_node/ops.h"
#include "wafer_node/right_operand.h"
#include "wafer_node/sites.h"

namespace waferstream {
namespace {

// Copies fp32 [N, D] for the products, which take bf16. In fp32 they take the original.
void CopyForProducts(const OpContext& c, int resident, RowSpan rows, const float* from) {
  if (c.dtype() == Dtype::kF32) return;
  const Activation copy = OutputDelta(c);
  ConvertToBf16(from, reinterpret_cast<Bf16*>(copy.Of(c, resident, rows.first)),
                rows.count * copy.width);
}

// Rows `chunk` of the gradient of the tile: output_delta^T input, for one micro-batch after
// another.
void TileGradient(const OpContext& c, const ProjectionSite& site, RowSpan chunk, int thread) {
  const int64_t width = site.input.width;
  const int64_t first = chunk.first * width;
  for (int r = 0; r < c.wave.resident(); ++r) {
    const std::byte* delta = site.output_delta.Of(c, r, 0, c.tile().first_row + chunk.first);
    Gemm({.dtype = c.dtype(), .m = chunk.count, .n = width, .k = c.wave.tokens()},
         {delta, site.output_delta.width, true}, {site.input.Of(c, r), width},
         {c.Staging(0, r) + first, width}, c.Workspace(thread));
    c.FinishStaged(0, r, first, chunk.count * width);
  }
}

// The gradient of the bias: of the whole matrix, when its last tile is here.
void BiasGradient(const OpContext& c, const ProjectionSite& site, RowSpan columns) {
  for (int r = 0; r < c.wave.resident(); ++r) {
    float* sum = c.Staging(1, r) + columns.first;
    std::fill_n(sum, columns.count, 0.0f);
    ColumnSum(c.dtype(), site.output_delta.Of(c, r, 0, columns.first), c.wave.tokens(),
              columns.count, site.output_delta.width, sum);
    c.FinishStaged(1, r, columns.first, columns.count);
  }
}

// The tile's part of the gradient of the input: output_delta W, in plan order of the tiles.
void AddInputDelta(const OpContext& c, const ProjectionSite& site, const MatrixIn& weights,
                   int resident, RowSpan rows, int thread) {
  const Tile& tile = c.tile();
  const int64_t width = site.input.width;
  Gemm({.dtype = c.dtype(),
        .m = rows.count,
        .n = width,
        .k = tile.rows,
        .accumulate = tile.first_row > 0},
       {site.output_delta.Of(c, resident, rows.first, tile.first_row), site.output_delta.width},
       weights, {InputDelta(width).Of(c, resident, rows.first), width}, c.Workspace(thread));
}

void NormBackwardOf(const OpContext& c, const NormSite& site, int resident) {
  const RowSpan rows{0, c.wave.tokens()};
  float* delta = c.at.As<float>(SramBuffer::kDelta, resident);
  // Nothing has flowed into the residual before the final norm.
  if (c.op().site == Site::kFinalNorm) std::fill_n(delta, rows.count * c.hidden(), 0.0f);
  float* d_gain = c.at.As<float>(SramBuffer::kNormGradients, resident);
  std::fill_n(d_gain, 2 * c.hidden(), 0.0f);
  const LayerNormOptions options{.rows = rows.count,
                                 .hidden = c.hidden(),
                                 .epsilon = static_cast<float>(c.plan.job.model().norm_eps()),
                                 .parameters = c.dtype()};
  LayerNormBackward(options, reinterpret_cast<const float*>(site.input.Of(c, resident)),
                    c.in.tiles[0], c.at.As<float>(SramBuffer::kInputDelta, resident), delta, d_gain,
                    d_gain + c.hidden());
  CopyForProducts(c, resident, rows, delta);
}

}  // namespace

void RunNormBackward(const OpContext& c) {
  const NormSite site = NormAt(c);
  c.parallel.For(c.wave.resident(), [&](int r, int) { NormBackwardOf(c, site, r); });
  for (int g = 0; g < 2; ++g) {  // gain, bias
    for (int r = 0; r < c.wave.resident(); ++r) {
      const float* made = c.at.As<float>(SramBuffer::kNormGradients, r) + g * c.hidden();
      std::copy_n(made, c.hidden(), c.Staging(g, r));
      c.FinishStaged(g, r, 0, c.hidden());
    }
  }
}

void RunMatmulBackward(const OpContext& c) {
  const ProjectionSite site = ProjectionAt(c);
  const Tile& tile = c.tile();
  const int64_t outputs = site.output_delta.width, tokens = c.wave.tokens();
  const int chunks = static_cast<int>(SpanCount(tile.rows, kGradientRows));
  const bool has_bias = c.op().gradients.size() > 1;
  const int bias_chunks = has_bias ? static_cast<int>(SpanCount(outputs, kGradientRows)) : 0;
  const int spans = static_cast<int>(SpanCount(tokens, kUnitRows));
  const MatrixIn weights = RightOperand(c, TileUse::kBackward);
  // The largest units first, so that no thread is left with one at the end.
  c.parallel.For(chunks + c.wave.resident() * spans + bias_chunks, [&](int i, int thread) {
    if (i < chunks) return TileGradient(c, site, SpanAt(tile.rows, kGradientRows, i), thread);
    i -= chunks;
    if (i < c.wave.resident() * spans) {
      return AddInputDelta(c, site, weights, i / spans, SpanAt(tokens, kUnitRows, i % spans),
                           thread);
    }
    BiasGradient(c, site, SpanAt(outputs, kGradientRows, i - c.wave.resident() * spans));
  });
}

void RunGeluBackward(const OpContext& c) {
  const Activation up{SramBuffer::kUp, c.op().layer, c.ffn(), c.dtype()};
  const Activation delta = InputDelta(c.ffn());
  c.ForRows([&](int r, RowSpan rows, int) {
    std::byte* u = up.Of(c, r, rows.first);
    GeluBackward(c.dtype(), u, reinterpret_cast<const float*>(delta.Of(c, r, rows.first)), u,
                 rows.count * c.ffn());
  });
}

void RunAttentionBackward(const OpContext& c) {
  const Activation d_out = InputDelta(c.hidden());
  c.ForRows([&](int r, RowSpan rows, int) {
    CopyForProducts(c, r, rows, reinterpret_cast<const float*>(d_out.Of(c, r, rows.first)));
  });
  const Activation operand = c.dtype() == Dtype::kF32 ? d_out : OutputDelta(c);
  const Activation qkv{SramBuffer::kQkv, c.op().layer, 3 * c.hidden(), c.dtype()};
  const Activation delta{SramBuffer::kQkvDelta, 0, 3 * c.hidden(), c.dtype()};
  ForHeads(c, [&](const HeadUnit& unit, int thread) {
    const HeadQkv in = QkvOf(c, qkv, unit);
    const HeadQkv out = QkvOf(c, delta, unit);
    AttentionBackward(HeadOptions(c), {in.q, in.k, in.v}, unit.lse,
                      operand.Of(c, unit.resident, unit.row, unit.column), {out.q, out.k, out.v},
                      c.Workspace(thread));
  });
}

namespace {

// Makes the one gradient of an op, an embedding's: add(resident, rows, out) adds to rows of the
// tile.
template <typename AddRows>
void EmbeddingGradient(const OpContext& c, AddRows add) {
  const int64_t hidden = c.hidden();
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

void RunEmbedPositionsBackward(const OpContext& c) {
  EmbeddingGradient(c, [&](int r, const EmbeddingTile& rows, float* out) {
    EmbedPositionsBackward(rows, c.wave.sequences, c.wave.sequence_tokens,
                           c.at.As<float>(SramBuffer::kDelta, r), out);
  });
}

void RunEmbedTokensBackward(const OpContext& c) {
  EmbeddingGradient(c, [&](int r, const EmbeddingTile& rows, float* out) {
    EmbedTokensBackward(rows, c.at.As<int32_t>(SramBuffer::kTokenIds, r), c.wave.tokens(),
                        c.at.As<float>(SramBuffer::kDelta, r), out);
  });
}

}  // namespace waferstream
