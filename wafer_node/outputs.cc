#include "wafer_node/outputs.h"

namespace waferstream {

std::vector<Output> OutputsOf(const OpContext& c) {
  const Operation& operation = c.operation();
  if (operation.kind == OpKind::kEmbedTokens) return {};
  std::vector<Output> outputs;
  for (size_t i = 0; i < operation.writes.size(); ++i) {
    const Activation written = Written(c, i);
    if (!written.per_token) continue;  // room for gradients of parameters
    // A tile of a projection makes its own columns.
    const bool columns = operation.kind == OpKind::kMatmul && !operation.backward;
    outputs.push_back(columns ? Output{written, c.tile().first_row, c.tile().rows}
                              : Output{written, 0, written.width});
  }
  return outputs;
}

}  // namespace waferstream
