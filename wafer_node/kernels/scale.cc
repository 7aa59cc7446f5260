#include "wafer_node/kernels/scale.h"

#include <algorithm>
#include <array>

#include "base/philox.h"

namespace waferstream {
namespace {

constexpr int64_t kDrawn = 4;  // values of one draw

float ValueAt(const ScaledRow& row, int64_t i) {
  return row.dtype == Dtype::kF32 ? static_cast<const float*>(row.data)[i]
                                  : ToFloat(static_cast<const Bf16*>(row.data)[i]);
}

}  // namespace

void ScaleRow(const ScaledRow& in, int64_t width, double factor, const DropSpec& drop, uint64_t row,
              const float* added, Dtype out_dtype, void* out) {
  const float scale = static_cast<float>(factor / (1 - drop.share));
  const uint64_t draws = (width + kDrawn - 1) / kDrawn;
  for (int64_t first = 0; first < width; first += kDrawn) {
    std::array<uint32_t, kDrawn> bits = {};
    if (drop.share > 0) {
      bits = Philox(drop.seed, Purpose::kDropout, drop.stream, row * draws + first / kDrawn);
    }
    for (int64_t i = first; i < std::min(first + kDrawn, width); ++i) {
      const bool kept = drop.share == 0 || UnitInterval(bits[i - first]) > drop.share;
      const float value = (added == nullptr ? 0 : added[i]) + (kept ? ValueAt(in, i) * scale : 0);
      if (out_dtype == Dtype::kF32) {
        static_cast<float*>(out)[i] = value;
      } else {
        static_cast<Bf16*>(out)[i] = ToBf16(value);
      }
    }
  }
}

}  // namespace waferstream
