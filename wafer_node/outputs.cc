#include "wafer_node/outputs.h"

namespace waferstream {
namespace {

Output Whole(const Activation& activation) { return {activation, 0, activation.width}; }

}  // namespace

std::vector<Output> OutputsOf(const OpContext& c) {
  const int layer = c.op().layer;
  const int64_t hidden = c.hidden(), ffn = c.ffn();
  switch (c.op().kind) {
    case OpKind::kEmbedPositions:
      return {Whole({SramBuffer::kResidual, 0, hidden, Dtype::kF32})};
    case OpKind::kNorm:
      return {Whole(NormAt(c).output)};
    case OpKind::kMatmul:
      return {{ProjectionAt(c).output, c.tile().first_row, c.tile().rows}};
    case OpKind::kGelu:
      return {Whole({SramBuffer::kGelu, layer, ffn, c.dtype()})};
    case OpKind::kAttention:
      return {Whole({SramBuffer::kAttentionOut, layer, hidden, c.dtype()})};
    case OpKind::kLogits:
      return {Whole({SramBuffer::kRowLoss, 0, kRowLossBytes / sizeof(float), Dtype::kF32})};
    case OpKind::kLoss:
      return {Whole({SramBuffer::kTokenLoss, 0, 1, Dtype::kF32})};
    case OpKind::kLogitsBackward:
      return {Whole(InputDelta(hidden))};
    case OpKind::kNormBackward:
      return {Whole({SramBuffer::kDelta, 0, hidden, Dtype::kF32})};
    case OpKind::kMatmulBackward:
      return {Whole(InputDelta(ProjectionAt(c).input.width))};
    case OpKind::kGeluBackward:
      return {Whole({SramBuffer::kUp, layer, ffn, c.dtype()})};
    case OpKind::kAttentionBackward:
      return {Whole({SramBuffer::kQkvDelta, 0, 3 * hidden, c.dtype()})};
    case OpKind::kEmbedTokens:
    case OpKind::kPickToken:
    case OpKind::kEmbedPositionsBackward:
    case OpKind::kEmbedTokensBackward:
      return {};
  }
  return {};
}

}  // namespace waferstream
