#include "wafer_node/kernels/gated.h"

#include "wafer_node/activation.h"
#include "wafer_node/ops/kinds.h"

namespace waferstream {

void SiluGatedOp(const OpContext& c) {
  const Activation gate = Read(c, 0), up = Read(c, 1), out = Written(c);
  c.ForRows([&](int r, RowSpan rows, int) {
    SiluGatedForward(c.dtype(), gate.Of(c, r, rows.first), up.Of(c, r, rows.first),
                     out.Of(c, r, rows.first), rows.count * gate.width);
  });
}

void SiluGatedBackwardOp(const OpContext& c) {
  const Activation gate = Read(c, 0), up = Read(c, 1), output_delta = Read(c, 2);
  const Activation d_gate = Written(c, 0), d_up = Written(c, 1);
  c.ForRows([&](int r, RowSpan rows, int) {
    SiluGatedBackward(c.dtype(), gate.Of(c, r, rows.first), up.Of(c, r, rows.first),
                      output_delta.Floats(c, r, rows.first), d_gate.Of(c, r, rows.first),
                      d_up.Of(c, r, rows.first), rows.count * gate.width);
  });
}

}  // namespace waferstream
