// RMSNorm, of a residual stream or of what a product made; a residual may be added to it.
#include "wafer_node/kernels/rms_norm.h"

#include <algorithm>

#include "wafer_node/activation.h"
#include "wafer_node/ops/kinds.h"
#include "wafer_node/ops/span_sums.h"

namespace waferstream {
namespace {

RmsNormOptions OptionsOf(const OpContext& c, int64_t rows) {
  const Attributes& a = c.node().attributes;
  return {.rows = rows,
          .groups = Read(c, 0).width / a.norm_width,
          .width = a.norm_width,
          .epsilon = static_cast<float>(a.epsilon),
          .gain = c.dtype()};
}

}  // namespace

void RmsNormOp(const OpContext& c) {
  const Activation input = Read(c, 0), output = Written(c);
  const bool has_residual = c.operation().reads.size() > 1;
  c.ForRows([&](int r, RowSpan rows, int) {
    const float* residual = has_residual ? Read(c, 1).Floats(c, r, rows.first) : nullptr;
    RmsNormForward(OptionsOf(c, rows.count), {input.Of(c, r, rows.first), input.dtype},
                   c.in.tiles[0], residual, {output.Of(c, r, rows.first), output.dtype});
  });
}

void RmsNormBackwardOp(const OpContext& c) {
  const Activation input = Read(c, 0), output_delta = Read(c, 1), delta = Written(c, 0);
  const Activation room = Written(c, 1);
  SumOverRows(c, room, [&](int r, RowSpan rows, float* d_gain) {
    RmsNormBackward(OptionsOf(c, rows.count), {input.Of(c, r, rows.first), input.dtype},
                    c.in.tiles[0], {output_delta.Of(c, r, rows.first), output_delta.dtype},
                    c.op().accumulate, {delta.Of(c, r, rows.first), delta.dtype}, d_gain);
  });
  const int g = c.GradientOf(c.node().vectors[0]);
  if (g < 0) return;
  for (int r = 0; r < c.wave.resident(); ++r) {
    std::copy_n(room.Floats(c, r), room.width, c.Staging(g, r));
    c.FinishStaged(g, r, 0, room.width);
  }
}

}  // namespace waferstream
