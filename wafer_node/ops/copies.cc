// A token's copies for its experts, and what they made of them, weighed and added.
#include "wafer_node/kernels/copies.h"

#include "wafer_node/expert_rows.h"
#include "wafer_node/ops/kinds.h"

namespace waferstream {
namespace {

// Of some tokens, copies of `width` elements each, placed by `choices`.
CopiesOptions CopiesOf(const OpContext& c, const Activation& choices, int resident, RowSpan rows,
                       int64_t width) {
  const int64_t chosen = c.node().attributes.experts_per_token;
  return {.dtype = c.dtype(),
          .tokens = rows.count,
          .chosen = chosen,
          .width = width,
          .places = Indices(c, choices, resident, rows.first) + chosen,
          .stride = 2 * chosen};
}

}  // namespace

void DispatchOp(const OpContext& c) {
  const Activation input = Read(c, 0), choices = Read(c, 1), copies = Written(c);
  c.ForRows([&](int r, RowSpan rows, int) {
    CopyTokens(CopiesOf(c, choices, r, rows, input.width), input.Of(c, r, rows.first),
               copies.Of(c, r));
  });
}

void DispatchBackwardOp(const OpContext& c) {
  const Activation choices = Read(c, 0), d_copies = Read(c, 1), delta = Written(c);
  c.ForRows([&](int r, RowSpan rows, int) {
    CopyTokensBackward(CopiesOf(c, choices, r, rows, delta.width), d_copies.Floats(c, r),
                       c.op().accumulate, delta.Floats(c, r, rows.first));
  });
}

void CombineOp(const OpContext& c) {
  const Activation copies = Read(c, 0), weights = Read(c, 1), choices = Read(c, 2);
  const Activation residual = Read(c, 3), output = Written(c);
  c.ForRows([&](int r, RowSpan rows, int) {
    CombineCopies(CopiesOf(c, choices, r, rows, output.width), copies.Of(c, r),
                  weights.Floats(c, r, rows.first), residual.Floats(c, r, rows.first),
                  output.Floats(c, r, rows.first));
  });
}

void CombineBackwardOp(const OpContext& c) {
  const Activation copies = Read(c, 0), weights = Read(c, 1), choices = Read(c, 2);
  const Activation output_delta = Read(c, 3), d_copies = Written(c, 0), d_weights = Written(c, 1);
  c.ForRows([&](int r, RowSpan rows, int) {
    CombineCopiesBackward(CopiesOf(c, choices, r, rows, output_delta.width), copies.Of(c, r),
                          weights.Floats(c, r, rows.first), output_delta.Floats(c, r, rows.first),
                          d_copies.Of(c, r), d_weights.Floats(c, r, rows.first));
  });
}

}  // namespace waferstream
