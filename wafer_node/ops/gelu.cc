#include "wafer_node/kernels/gelu.h"

#include "wafer_node/activation.h"
#include "wafer_node/ops/kinds.h"

namespace waferstream {
namespace {

GeluBy FormulaOf(const OpContext& c) {
  return c.node().attributes.exact ? GeluBy::kErf : GeluBy::kTanh;
}

}  // namespace

void GeluOp(const OpContext& c) {
  const Activation up = Read(c, 0), out = Written(c);
  c.ForRows([&](int r, RowSpan rows, int) {
    GeluForward(FormulaOf(c), c.dtype(), up.Of(c, r, rows.first), out.Of(c, r, rows.first),
                rows.count * up.width);
  });
}

void GeluBackwardOp(const OpContext& c) {
  const Activation up = Read(c, 0), output_delta = Read(c, 1), delta = Written(c);
  c.ForRows([&](int r, RowSpan rows, int) {
    GeluBackward(FormulaOf(c), c.dtype(), up.Of(c, r, rows.first),
                 output_delta.Floats(c, r, rows.first), delta.Of(c, r, rows.first),
                 rows.count * up.width);
  });
}

}  // namespace waferstream
