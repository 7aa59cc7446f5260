#include "wafer_node/op_work.h"

namespace waferstream {
namespace {

constexpr uint64_t kMultiplyAddsPerNs = 10;  // of small products
constexpr uint64_t kElementsPerNs = 1;       // of what is read and written

uint64_t Elements(const Plan& plan, const std::vector<int>& values, uint64_t tokens,
                  uint64_t resident) {
  uint64_t elements = 0;
  for (const int value : values) {
    const Value& v = plan.program.values[value];
    elements += v.width * (v.per_token ? tokens : resident);
  }
  return elements;
}

// Of what grows faster than what is read and written: products with weights, and of queries and
// keys.
uint64_t MultiplyAdds(const Plan& plan, const Wave& wave, const Op& op, uint64_t tokens) {
  const Operation& operation = plan.program.Of(op);
  const uint64_t passes = operation.backward ? 3 : 1;  // backward may make what it needs again
  uint64_t a_token = 0;
  if (op.item >= 0) {
    const std::vector<int>& stream = wave.pass.kind == PassKind::kBackward
                                         ? plan.program.backward_stream
                                         : plan.program.forward_stream;
    a_token = plan.tiles[stream[op.item]].elements;
  }
  if (operation.kind == OpKind::kAttention) {
    const Attributes& a = plan.graph.nodes[operation.node].attributes;
    a_token = a.q.heads * a.head_dim * wave.tokens();
  }
  return passes * a_token * tokens;
}

}  // namespace

uint64_t AboutNs(const Plan& plan, const Wave& wave, const Op& op) {
  const auto resident = static_cast<uint64_t>(wave.resident());
  const uint64_t tokens = resident * wave.tokens();
  const Operation& operation = plan.program.Of(op);
  const uint64_t elements = Elements(plan, operation.reads, tokens, resident) +
                            Elements(plan, operation.writes, tokens, resident);
  return 1 + MultiplyAdds(plan, wave, op, tokens) / kMultiplyAddsPerNs + elements / kElementsPerNs;
}

}  // namespace waferstream
