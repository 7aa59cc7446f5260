#include "wafer_node/op_context.h"

#include <algorithm>

#include "base/status.h"
#include "base/vector_math.h"
#include "wafer_node/compute_faults.h"
#include "wafer_node/diagnosis.h"

namespace waferstream {

const Tile& OpContext::tile() const {
  WS_CHECK(op().item >= 0);
  return plan.tiles[StreamOf(plan, wave.pass.kind)[op().item]];
}

int64_t OpContext::MeasuredTokens(int resident) const {
  if (wave.pass.kind != PassKind::kValidation) return wave.tokens();
  const int64_t before = int64_t{wave.LeafOf(resident)} * wave.sequences;
  return std::min(wave.sequences, plan.validation_sequences - before) * wave.sequence_tokens;
}

void OpContext::ForRows(const RowUnit& unit) const {
  const int64_t tokens = wave.tokens();
  const int spans = static_cast<int>(SpanCount(tokens, kUnitRows));
  parallel.For(wave.resident() * spans, [&](int i, int thread) {
    unit(i / spans, SpanAt(tokens, kUnitRows, i % spans), thread);
  });
}

int OpContext::GradientOf(int parameter) const {
  for (size_t g = 0; g < op().gradients.size(); ++g) {
    const GradientItem& item = plan.program.gradient_stream[op().gradients[g]];
    if (plan.tiles[item.tile].parameter == parameter) return static_cast<int>(g);
  }
  return -1;
}

float* OpContext::Staging(int g, int resident) const {
  return in.staging[g][wave.StagingBufferOf(resident)];
}

void OpContext::FinishStaged(int g, int resident, int64_t first, int64_t count) const {
  float* made = Staging(g, resident) + first;
  if (watchers.faults != nullptr) {
    watchers.faults->OnGradient(*this, g, resident, first, made, count);
  }
  if (watchers.diagnosis != nullptr) watchers.diagnosis->OnGradient(resident, made, count);
  if (wave.hashed[resident]) {
    watchers.hashes->AddGradient(resident, op().gradients[g], first, made, count);
  }
  if (!wave.Owns(resident)) return;
  const std::vector<float*>& buffers = in.staging[g];
  for (const Merge& merge : wave.staging.steps[resident].merges) {
    Add(buffers[merge.into] + first, buffers[merge.from] + first, count);
  }
}

}  // namespace waferstream
