#include "wafer_node/sites.h"

#include "base/status.h"

namespace waferstream {
namespace {

// Of the residual stream there are layers + 1: number `layer` is the layer's input.
Activation Residual(const OpContext& c, int layer) {
  return {SramBuffer::kResidual, layer, c.hidden(), Dtype::kF32};
}

Activation Middle(const OpContext& c) {
  return {SramBuffer::kMiddle, c.op().layer, c.hidden(), Dtype::kF32};
}

// An activation that products read.
Activation Operand(const OpContext& c, SramBuffer buffer, int64_t width) {
  return {buffer, c.op().layer, width, c.dtype()};
}

}  // namespace

NormSite NormAt(const OpContext& c) {
  switch (c.op().site) {
    case Site::kNorm1:
      return {Residual(c, c.op().layer), Operand(c, SramBuffer::kNorm1, c.hidden())};
    case Site::kNorm2:
      return {Middle(c), Operand(c, SramBuffer::kNorm2, c.hidden())};
    default:
      WS_CHECK(c.op().site == Site::kFinalNorm);
      return {Residual(c, static_cast<int>(c.plan.job.model().layers())),
              {SramBuffer::kFinalNorm, 0, c.hidden(), c.dtype()}};
  }
}

ProjectionSite ProjectionAt(const OpContext& c) {
  const int64_t hidden = c.hidden();
  switch (c.op().site) {
    case Site::kQkv:
      return {.input = Operand(c, SramBuffer::kNorm1, hidden),
              .output = Operand(c, SramBuffer::kQkv, 3 * hidden),
              .output_delta = {SramBuffer::kQkvDelta, 0, 3 * hidden, c.dtype()}};
    case Site::kAttentionOut:
      return {.input = Operand(c, SramBuffer::kAttentionOut, hidden),
              .output = Middle(c),
              .has_residual = true,
              .residual = Residual(c, c.op().layer),
              .output_delta = OutputDelta(c)};
    case Site::kUp:
      // GeluBackward leaves the gradient where the activation was.
      return {.input = Operand(c, SramBuffer::kNorm2, hidden),
              .output = Operand(c, SramBuffer::kUp, c.ffn()),
              .output_delta = Operand(c, SramBuffer::kUp, c.ffn())};
    default:
      WS_CHECK(c.op().site == Site::kDown);
      return {.input = Operand(c, SramBuffer::kGelu, c.ffn()),
              .output = Residual(c, c.op().layer + 1),
              .has_residual = true,
              .residual = Middle(c),
              .output_delta = OutputDelta(c)};
  }
}

Activation OutputDelta(const OpContext& c) {
  const bool copied = c.dtype() == Dtype::kBf16;
  return {copied ? SramBuffer::kOutputDelta : SramBuffer::kDelta, 0, c.hidden(), c.dtype()};
}

Activation InputDelta(int64_t width) { return {SramBuffer::kInputDelta, 0, width, Dtype::kF32}; }

}  // namespace waferstream
