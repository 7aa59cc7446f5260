#include "wafer_node/outputs.h"

#include "wafer_node/activation.h"
#include "wafer_node/expert_rows.h"

namespace waferstream {
namespace {

// What a tile makes of the copies of its expert.
Output OfExpert(const OpContext& c, const Activation& written, int resident) {
  const RowSpan rows = ExpertRows(c).Of(resident);
  const int64_t width = WidthOfCopies(c, written);
  const bool backward = c.operation().backward;
  return {.data = CopyAt(c, written, resident, rows.first, backward ? 0 : c.tile().first_row),
          .dtype = written.dtype,
          .rows = rows.count,
          .columns = backward ? width : c.tile().rows,
          .stride = width};
}

}  // namespace

std::vector<Output> OutputsOf(const OpContext& c, int resident) {
  const Operation& operation = c.operation();
  if (operation.kind == OpKind::kEmbedTokens) return {};
  if (operation.kind == OpKind::kExpertMatmul) return {OfExpert(c, Written(c), resident)};
  std::vector<Output> outputs;
  for (size_t i = 0; i < operation.writes.size(); ++i) {
    const Activation written = Written(c, i);
    if (!written.per_token) continue;  // room for gradients of parameters
    if (operation.kind == OpKind::kRoute && i > 0) continue;
    // A tile of a projection makes its own columns.
    const bool columns = operation.kind == OpKind::kMatmul && !operation.backward;
    outputs.push_back({.data = written.Of(c, resident, 0, columns ? c.tile().first_row : 0),
                       .dtype = written.dtype,
                       .rows = c.wave.tokens(),
                       .columns = columns ? c.tile().rows : written.width,
                       .stride = written.width});
  }
  return outputs;
}

}  // namespace waferstream
