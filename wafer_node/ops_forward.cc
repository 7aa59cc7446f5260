#include <algorithm>

#include "wafer_node/heads.h"
#include "wafer_node/kernels/embed.h"
#include "wafer_node/kernels/gelu.h"
#include "wafer_node/kernels/gemm.h"
#include "wafer_node/kernels/norm.h"
#include "wafer_node/ops.h"
#include "wafer_node/right_operand.h"
#include "wafer_node/sites.h"

namespace waferstream {
namespace {

// Starts a projection's output with the residual that is added to it: the tile's columns only.
void CopyColumns(const OpContext& c, const ProjectionSite& site, int resident, RowSpan rows) {
  const Tile& tile = c.tile();
  for (int64_t row = rows.first; row < rows.first + rows.count; ++row) {
    const std::byte* from = site.residual.Of(c, resident, row, tile.first_row);
    std::copy_n(from, tile.rows * sizeof(float), site.output.Of(c, resident, row, tile.first_row));
  }
}

}  // namespace

void RunEmbedTokens(const OpContext& c) {
  const EmbeddingTile tile{c.tile().first_row, c.tile().rows, c.hidden()};
  c.ForRows([&](int r, RowSpan rows, int) {
    EmbedTokens(tile, c.dtype(), c.weights(),
                c.at.As<int32_t>(SramBuffer::kTokenIds, r) + rows.first, rows.count,
                c.at.As<float>(SramBuffer::kResidual, r) + rows.first * c.hidden());
  });
}

void RunEmbedPositions(const OpContext& c) {
  const EmbeddingTile tile{c.tile().first_row, c.tile().rows, c.hidden()};
  const int sequences = static_cast<int>(c.wave.sequences);
  c.parallel.For(c.wave.resident() * sequences, [&](int i, int) {
    const int64_t row = i % sequences * c.wave.sequence_tokens;
    EmbedPositions(tile, c.dtype(), c.weights(), 1, c.wave.sequence_tokens,
                   c.at.As<float>(SramBuffer::kResidual, i / sequences) + row * c.hidden());
  });
}

void RunNorm(const OpContext& c) {
  const NormSite site = NormAt(c);
  c.ForRows([&](int r, RowSpan rows, int) {
    const LayerNormOptions options{.rows = rows.count,
                                   .hidden = c.hidden(),
                                   .epsilon = static_cast<float>(c.plan.job.model().norm_eps()),
                                   .parameters = c.dtype()};
    const auto* x = reinterpret_cast<const float*>(site.input.Of(c, r, rows.first));
    LayerNormForward(options, x, c.in.tiles[0], c.in.tiles[1], c.dtype(),
                     site.output.Of(c, r, rows.first));
  });
}

void RunMatmul(const OpContext& c) {
  const ProjectionSite site = ProjectionAt(c);
  const Tile& tile = c.tile();
  const MatrixIn weights = RightOperand(c, TileUse::kForward);
  c.ForRows([&](int r, RowSpan rows, int thread) {
    if (site.has_residual) CopyColumns(c, site, r, rows);
    const GemmOptions options{.dtype = c.dtype(),
                              .m = rows.count,
                              .n = tile.rows,
                              .k = site.input.width,
                              .accumulate = site.has_residual,
                              .bias = ElementAt(c.in.tiles[0], c.dtype(), tile.first_row),
                              .bias_dtype = c.dtype()};
    Gemm(options, {site.input.Of(c, r, rows.first), site.input.width}, weights,
         {site.output.Of(c, r, rows.first, tile.first_row), site.output.width, site.output.dtype},
         c.Workspace(thread));
  });
}

void RunAttention(const OpContext& c) {
  const Activation qkv{SramBuffer::kQkv, c.op().layer, 3 * c.hidden(), c.dtype()};
  const Activation out{SramBuffer::kAttentionOut, c.op().layer, c.hidden(), c.dtype()};
  ForHeads(c, [&](const HeadUnit& unit, int thread) {
    const HeadQkv in = QkvOf(c, qkv, unit);
    AttentionForward(HeadOptions(c), {in.q, in.k, in.v},
                     out.Of(c, unit.resident, unit.row, unit.column), unit.lse,
                     c.Workspace(thread));
  });
}

void RunGelu(const OpContext& c) {
  const Activation up{SramBuffer::kUp, c.op().layer, c.ffn(), c.dtype()};
  const Activation gelu{SramBuffer::kGelu, c.op().layer, c.ffn(), c.dtype()};
  c.ForRows([&](int r, RowSpan rows, int) {
    GeluForward(c.dtype(), up.Of(c, r, rows.first), gelu.Of(c, r, rows.first),
                rows.count * c.ffn());
  });
}

}  // namespace waferstream
