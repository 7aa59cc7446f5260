// LayerNorm of a residual stream, for products.
#include <algorithm>

#include "wafer_node/activation.h"
#include "wafer_node/kernels/norm.h"
#include "wafer_node/ops/kinds.h"
#include "wafer_node/ops/span_sums.h"

namespace waferstream {
namespace {

LayerNormOptions OptionsOf(const OpContext& c, int64_t rows) {
  return {.rows = rows,
          .hidden = Read(c, 0).width,
          .epsilon = static_cast<float>(c.node().attributes.epsilon),
          .parameters = c.dtype()};
}

}  // namespace

void LayerNormOp(const OpContext& c) {
  const Activation input = Read(c, 0), output = Written(c);
  c.ForRows([&](int r, RowSpan rows, int) {
    LayerNormForward(OptionsOf(c, rows.count), input.Floats(c, r, rows.first), c.in.tiles[0],
                     c.in.tiles[1], c.dtype(), output.Of(c, r, rows.first));
  });
}

void LayerNormBackwardOp(const OpContext& c) {
  const Activation input = Read(c, 0), output_delta = Read(c, 1), delta = Written(c, 0);
  const int64_t width = input.width;
  SumOverRows(c, Written(c, 1), [&](int r, RowSpan rows, float* d_gain) {
    float* const to = delta.Floats(c, r, rows.first);
    if (!c.op().accumulate) std::fill_n(to, rows.count * width, 0.0f);
    LayerNormBackward(OptionsOf(c, rows.count), input.Floats(c, r, rows.first), c.in.tiles[0],
                      output_delta.Floats(c, r, rows.first), to, d_gain, d_gain + width);
  });
  for (int v = 0; v < 2; ++v) {  // gain, bias
    const int g = c.GradientOf(c.node().vectors[v]);
    if (g < 0) continue;
    for (int r = 0; r < c.wave.resident(); ++r) {
      std::copy_n(Written(c, 1).Floats(c, r, 0, v * width), width, c.Staging(g, r));
      c.FinishStaged(g, r, 0, width);
    }
  }
}

}  // namespace waferstream
