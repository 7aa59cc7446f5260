#include "wafer_node/ops.h"

#include "base/status.h"
#include "wafer_node/compute_faults.h"
#include "wafer_node/diagnosis.h"
#include "wafer_node/ops/kinds.h"

namespace waferstream {
namespace {

struct Kind {
  OpKind kind;
  void (*forward)(const OpContext& c);
  void (*backward)(const OpContext& c);
};
// By OpKind.
constexpr Kind kKinds[] = {
    {OpKind::kEmbedTokens, EmbedTokensOp, EmbedTokensBackwardOp},
    {OpKind::kEmbedPositions, EmbedPositionsOp, EmbedPositionsBackwardOp},
    {OpKind::kLayerNorm, LayerNormOp, LayerNormBackwardOp},
    {OpKind::kRmsNorm, RmsNormOp, RmsNormBackwardOp},
    {OpKind::kMatmul, MatmulOp, MatmulBackwardOp},
    {OpKind::kGelu, GeluOp, GeluBackwardOp},
    {OpKind::kSiluGated, SiluGatedOp, SiluGatedBackwardOp},
    {OpKind::kRotary, RotaryOp, RotaryBackwardOp},
    {OpKind::kAttention, AttentionOp, AttentionBackwardOp},
    {OpKind::kLogits, LogitsOp, LogitsBackwardOp},
    {OpKind::kLoss, LossOp, nullptr},
    {OpKind::kConvert, ConvertOp, nullptr},
    {OpKind::kPickToken, PickTokenOp, nullptr},
    {OpKind::kAdd, AddOp, nullptr},
    {OpKind::kRoute, RouteOp, RouteBackwardOp},
    {OpKind::kDispatch, DispatchOp, DispatchBackwardOp},
    {OpKind::kExpertMatmul, ExpertMatmulOp, ExpertMatmulBackwardOp},
    {OpKind::kCombine, CombineOp, CombineBackwardOp},
    {OpKind::kScale, ScaleOp, ScaleBackwardOp},
};
static_assert(std::size(kKinds) == static_cast<size_t>(OpKind::kCount));
static_assert([] {
  for (size_t i = 0; i < std::size(kKinds); ++i) {
    if (kKinds[i].kind != static_cast<OpKind>(i)) return false;
  }
  return true;
}());

}  // namespace

void RunOp(const OpContext& c) {
  if (c.watchers.faults != nullptr) c.watchers.faults->BeforeOp(c);
  const Operation& operation = c.operation();
  const Kind& kind = kKinds[static_cast<size_t>(operation.kind)];
  const auto run = operation.backward ? kind.backward : kind.forward;
  WS_CHECK(run != nullptr);
  run(c);
  if (c.watchers.faults != nullptr) c.watchers.faults->AfterOp(c);
  if (c.watchers.diagnosis != nullptr) c.watchers.diagnosis->OnOp(c);
}

}  // namespace waferstream
