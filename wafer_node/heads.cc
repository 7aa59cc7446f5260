#include "wafer_node/heads.h"

namespace waferstream {

void ForHeads(const OpContext& c, const std::function<void(const HeadUnit&, int thread)>& unit) {
  const int heads = static_cast<int>(c.heads());
  const int sequences = static_cast<int>(c.wave.sequences);
  const int64_t tokens = c.wave.sequence_tokens, head_dim = c.hidden() / heads;
  c.parallel.For(c.wave.resident() * sequences * heads, [&](int i, int thread) {
    const int head = i % heads, sequence = i / heads % sequences, resident = i / heads / sequences;
    float* lse = c.at.As<float>(SramBuffer::kAttentionLse, resident, c.op().layer);
    lse += (sequence * heads + head) * tokens;
    unit({resident, sequence * tokens, head * head_dim, lse}, thread);
  });
}

AttentionOptions HeadOptions(const OpContext& c) {
  return {.dtype = c.dtype(),
          .tokens = c.wave.sequence_tokens,
          .head_dim = c.hidden() / c.heads(),
          .qkv_stride = 3 * c.hidden(),
          .out_stride = c.hidden()};
}

HeadQkv QkvOf(const OpContext& c, const Activation& qkv, const HeadUnit& unit) {
  const auto at = [&](int64_t third) {
    return qkv.Of(c, unit.resident, unit.row, third * c.hidden() + unit.column);
  };
  return {at(0), at(1), at(2)};
}

}  // namespace waferstream
