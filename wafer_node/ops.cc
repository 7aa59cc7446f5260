#include "wafer_node/ops.h"

#include "wafer_node/compute_faults.h"
#include "wafer_node/diagnosis.h"

namespace waferstream {
namespace {

void RunKind(const OpContext& c) {
  switch (c.op().kind) {
    case OpKind::kEmbedTokens:
      return RunEmbedTokens(c);
    case OpKind::kEmbedPositions:
      return RunEmbedPositions(c);
    case OpKind::kNorm:
      return RunNorm(c);
    case OpKind::kMatmul:
      return RunMatmul(c);
    case OpKind::kGelu:
      return RunGelu(c);
    case OpKind::kAttention:
      return RunAttention(c);
    case OpKind::kLogits:
      return c.plan.is_generation() ? RunLastLogits(c) : RunLogits(c);
    case OpKind::kLoss:
      return RunLoss(c);
    case OpKind::kPickToken:
      return RunPickToken(c);
    case OpKind::kLogitsBackward:
      return RunLogitsBackward(c);
    case OpKind::kNormBackward:
      return RunNormBackward(c);
    case OpKind::kMatmulBackward:
      return RunMatmulBackward(c);
    case OpKind::kGeluBackward:
      return RunGeluBackward(c);
    case OpKind::kAttentionBackward:
      return RunAttentionBackward(c);
    case OpKind::kEmbedPositionsBackward:
      return RunEmbedPositionsBackward(c);
    case OpKind::kEmbedTokensBackward:
      return RunEmbedTokensBackward(c);
  }
}

}  // namespace

void RunOp(const OpContext& c) {
  if (c.watchers.faults != nullptr) c.watchers.faults->BeforeOp(c);
  RunKind(c);
  if (c.watchers.faults != nullptr) c.watchers.faults->AfterOp(c);
  if (c.watchers.diagnosis != nullptr) c.watchers.diagnosis->OnOp(c);
}

}  // namespace waferstream
