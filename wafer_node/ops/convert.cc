// A copy of an fp32 value in bf16, for products; and one fp32 value added to another.
#include "base/vector_math.h"
#include "wafer_node/activation.h"
#include "wafer_node/ops/kinds.h"

namespace waferstream {

void ConvertOp(const OpContext& c) {
  const Activation from = Read(c, 0), to = Written(c);
  c.ForRows([&](int r, RowSpan rows, int) {
    ConvertToBf16(from.Floats(c, r, rows.first), reinterpret_cast<Bf16*>(to.Of(c, r, rows.first)),
                  rows.count * from.width);
  });
}

void AddOp(const OpContext& c) {
  const Activation from = Read(c, 0), to = Written(c);
  c.ForRows([&](int r, RowSpan rows, int) {
    Add(to.Floats(c, r, rows.first), from.Floats(c, r, rows.first), rows.count * from.width);
  });
}

}  // namespace waferstream
