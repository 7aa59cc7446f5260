#include "wafer_node/op_context.h"

#include "base/status.h"
#include "base/vector_math.h"

namespace waferstream {

const Tile& OpContext::tile() const {
  WS_CHECK(op().item >= 0);
  return plan.tiles[StreamOf(plan, wave.pass.kind)[op().item]];
}

void OpContext::ForRows(const RowUnit& unit) const {
  const int64_t tokens = wave.tokens();
  const int spans = static_cast<int>(SpanCount(tokens, kUnitRows));
  parallel.For(wave.resident() * spans, [&](int i, int thread) {
    unit(i / spans, SpanAt(tokens, kUnitRows, i % spans), thread);
  });
}

float* OpContext::Staging(int g, int resident) const {
  return in.staging[g][wave.staging.steps[resident].buffer];
}

void OpContext::MergeStaged(int g, int resident, int64_t first, int64_t count) const {
  const std::vector<float*>& buffers = in.staging[g];
  for (const Merge& merge : wave.staging.steps[resident].merges) {
    Add(buffers[merge.into] + first, buffers[merge.from] + first, count);
  }
}

}  // namespace waferstream
