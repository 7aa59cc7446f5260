// A value times a factor, of which training drops some elements.
#include "wafer_node/kernels/scale.h"

#include "wafer_node/activation.h"
#include "wafer_node/ops/kinds.h"

namespace waferstream {
namespace {

constexpr int kNodeBits = 20;  // a graph has fewer nodes

DropSpec DropOf(const OpContext& c) {
  const PassKind pass = c.wave.pass.kind;
  const bool trains = pass == PassKind::kForward || pass == PassKind::kBackward;
  return {.seed = c.plan.job.training().seed(),
          .stream = c.wave.pass.step << kNodeBits | static_cast<uint64_t>(c.operation().node),
          .share = trains ? c.node().attributes.drop : 0};
}

uint64_t RowNumber(const OpContext& c, int resident, int64_t token) {
  return static_cast<uint64_t>(c.wave.LeafOf(resident)) * c.wave.tokens() + token;
}

}  // namespace

void ScaleOp(const OpContext& c) {
  const Activation input = Read(c, 0), output = Written(c);
  const bool adds = c.operation().reads.size() > 1;
  const DropSpec drop = DropOf(c);
  c.ForRows([&](int r, RowSpan rows, int) {
    for (int64_t row = rows.first; row < rows.first + rows.count; ++row) {
      ScaleRow({input.dtype, input.Of(c, r, row)}, input.width, c.node().attributes.factor, drop,
               RowNumber(c, r, row), adds ? Read(c, 1).Floats(c, r, row) : nullptr, output.dtype,
               output.Of(c, r, row));
    }
  });
}

void ScaleBackwardOp(const OpContext& c) {
  const Activation output_delta = Read(c, 0), delta = Written(c);
  const DropSpec drop = DropOf(c);
  c.ForRows([&](int r, RowSpan rows, int) {
    for (int64_t row = rows.first; row < rows.first + rows.count; ++row) {
      float* const sum = delta.Floats(c, r, row);
      ScaleRow({output_delta.dtype, output_delta.Of(c, r, row)}, delta.width,
               c.node().attributes.factor, drop, RowNumber(c, r, row),
               c.op().accumulate ? sum : nullptr, delta.dtype, sum);
    }
  });
}

}  // namespace waferstream
