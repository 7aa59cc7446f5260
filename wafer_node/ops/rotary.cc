// Rotary positions, in place: forward turns q and k, backward turns their gradients back.
#include "wafer_node/kernels/rotary.h"

#include <cmath>
#include <vector>

#include "wafer_node/activation.h"
#include "wafer_node/ops/kinds.h"

namespace waferstream {
namespace {

// Cosine and sine of a position's angles. The angle is rounded to fp32 as the reference does it.
class Angles {
 public:
  explicit Angles(const std::vector<float>& frequencies)
      : frequencies_(frequencies), cosine_(frequencies.size()), sine_(frequencies.size()) {}

  void MoveTo(int64_t position) {
    for (size_t i = 0; i < frequencies_.size(); ++i) {
      const double angle = static_cast<float>(position) * frequencies_[i];
      cosine_[i] = static_cast<float>(std::cos(angle));
      sine_[i] = static_cast<float>(std::sin(angle));
    }
  }
  const float* cosine() const { return cosine_.data(); }
  const float* sine() const { return sine_.data(); }

 private:
  const std::vector<float>& frequencies_;
  std::vector<float> cosine_, sine_;
};

void Turn(const OpContext& c, bool inverse) {
  const Attributes& a = c.node().attributes;
  const std::vector<float> frequencies = RotaryFrequencies(a.rotary);
  c.ForRows([&](int r, RowSpan rows, int) {
    Angles angles(frequencies);
    const auto* document = c.wave.DocumentOf(r, rows.first);
    for (int64_t row = rows.first; row < rows.first + rows.count; ++row) {
      if (row == document->rows.first + document->rows.count) ++document;
      angles.MoveTo(row - document->rows.first);
      for (const HeadColumns& heads : {a.q, a.k}) {
        const Activation x = Written(c, heads.operand);
        Rotate({.dtype = x.dtype,
                .heads = heads.heads,
                .head_stride = heads.stride,
                .dims = a.rotary.dims,
                .interleaved = a.rotary.interleaved,
                .inverse = inverse},
               angles.cosine(), angles.sine(), x.Of(c, r, row, heads.first));
      }
    }
  });
}

}  // namespace

void RotaryOp(const OpContext& c) { Turn(c, /*inverse=*/false); }
void RotaryBackwardOp(const OpContext& c) { Turn(c, /*inverse=*/true); }

}  // namespace waferstream
