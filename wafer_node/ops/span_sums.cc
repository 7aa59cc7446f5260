#include "wafer_node/ops/span_sums.h"

#include <algorithm>

#include "base/status.h"
#include "base/vector_math.h"

namespace waferstream {

void SumOverRows(const OpContext& c, const Activation& room, const AddOverRows& add) {
  const int64_t tokens = c.wave.tokens(), width = room.width;
  const int spans = static_cast<int>(SpanCount(tokens, kUnitRows));
  const std::span<std::byte> space = c.Workspace(0);
  float* const sums = reinterpret_cast<float*>(space.data());
  const int at_once = static_cast<int>(space.size() / (width * sizeof(float)));
  WS_CHECK(at_once > 0);
  const int units = c.wave.resident() * spans;
  for (int first = 0; first < units; first += at_once) {
    const int count = std::min(at_once, units - first);
    c.parallel.For(count, [&](int i, int) {
      float* const of_span = sums + i * width;
      std::fill_n(of_span, width, 0.0f);
      const int unit = first + i;
      add(unit / spans, SpanAt(tokens, kUnitRows, unit % spans), of_span);
    });
    for (int i = 0; i < count; ++i) {
      const int resident = (first + i) / spans;
      float* const to = room.Floats(c, resident);
      if ((first + i) % spans == 0) std::fill_n(to, width, 0.0f);
      Add(to, sums + i * width, width);
    }
  }
}

}  // namespace waferstream
