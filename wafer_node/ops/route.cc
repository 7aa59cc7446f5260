// The router of a mixture of experts, of whole micro-batches: where copies stand depends on all
// tokens.
#include "wafer_node/kernels/route.h"

#include "wafer_node/expert_rows.h"
#include "wafer_node/ops/kinds.h"

namespace waferstream {
namespace {

RouteOptions RouteOptionsOf(const OpContext& c, int64_t tokens) {
  const Attributes& a = c.node().attributes;
  return {.tokens = tokens,
          .experts = a.experts,
          .chosen = a.experts_per_token,
          .norm_topk = a.norm_topk};
}

}  // namespace

void RouteOp(const OpContext& c) {
  const Activation logits = Read(c, 0);
  c.parallel.For(c.wave.resident(), [&](int r, int) {
    Route(RouteOptionsOf(c, c.wave.tokens()), logits.Floats(c, r),
          {.weights = Written(c, 0).Floats(c, r),
           .choices = Indices(c, Written(c, 1), r),
           .ends = Indices(c, Written(c, 2), r),
           .load = Written(c, 3).Floats(c, r)});
  });
}

void RouteBackwardOp(const OpContext& c) {
  const Activation logits = Read(c, 0), choices = Read(c, 1), d_weights = Read(c, 2);
  const Activation delta = Written(c);
  const bool balances = c.operation().reads.size() > 3;
  c.ForRows([&](int r, RowSpan rows, int) {
    RouteBackward(RouteOptionsOf(c, rows.count), logits.Floats(c, r, rows.first),
                  Indices(c, choices, r, rows.first), d_weights.Floats(c, r, rows.first),
                  balances ? Read(c, 3).Floats(c, r) : nullptr, delta.Floats(c, r, rows.first));
  });
}

}  // namespace waferstream
