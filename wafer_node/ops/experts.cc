// Mixtures of experts: which experts a token goes to, its copies for them, their products, and what
// they made added up. The copies of an expert stand behind one another: rows of a value that has as
// many of them as tokens have experts.
#include <algorithm>

#include "wafer_node/expert_rows.h"
#include "wafer_node/kernels/copies.h"
#include "wafer_node/kernels/gemm.h"
#include "wafer_node/kernels/route.h"
#include "wafer_node/ops/kinds.h"
#include "wafer_node/right_operand.h"

namespace waferstream {
namespace {

RouteOptions RouteOptionsOf(const OpContext& c, int64_t tokens) {
  const Attributes& a = c.node().attributes;
  return {.tokens = tokens,
          .experts = a.experts,
          .chosen = a.experts_per_token,
          .norm_topk = a.norm_topk};
}

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

// Rows `chunk` of the gradient of the tile, for one micro-batch after another.
void ExpertGradient(const OpContext& c, const ExpertRows& expert, RowSpan chunk, int thread) {
  const Activation copies = Read(c, 0), output_delta = Read(c, 2);
  const int64_t width = WidthOfCopies(c, copies), outputs = WidthOfCopies(c, output_delta);
  const int64_t first = chunk.first * width, count = chunk.count * width;
  for (int r = 0; r < c.wave.resident(); ++r) {
    const RowSpan rows = expert.Of(r);
    float* gradient = c.Staging(0, r) + first;
    if (rows.count == 0) {
      std::fill_n(gradient, count, 0.0f);
    } else {
      const int64_t column = c.tile().first_row + chunk.first;
      Gemm({.dtype = c.dtype(), .m = chunk.count, .n = width, .k = rows.count},
           {CopyAt(c, output_delta, r, rows.first, column), outputs, true},
           {CopyAt(c, copies, r, rows.first), width}, {gradient, width}, c.Workspace(thread));
    }
    c.FinishStaged(0, r, first, count);
  }
}

// The tile's part of the gradient of the copies, in plan order of the tiles.
void AddCopiesDelta(const OpContext& c, const MatrixIn& weights, const ExpertRows::Unit& unit,
                    int thread) {
  const Activation output_delta = Read(c, 2), delta = Written(c);
  const int64_t width = WidthOfCopies(c, delta), outputs = WidthOfCopies(c, output_delta);
  const auto& [r, rows] = unit;
  Gemm({.dtype = c.dtype(),
        .m = rows.count,
        .n = width,
        .k = c.tile().rows,
        .accumulate = c.op().accumulate},
       {CopyAt(c, output_delta, r, rows.first, c.tile().first_row), outputs}, weights,
       {CopyAt(c, delta, r, rows.first), width}, c.Workspace(thread));
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

void ExpertMatmulOp(const OpContext& c) {
  const Activation copies = Read(c, 0), output = Written(c);
  const int64_t width = WidthOfCopies(c, copies), outputs = WidthOfCopies(c, output);
  const ExpertRows expert(c);
  const int units = expert.Units();
  if (units == 0) return;
  const MatrixIn weights = RightOperand(c, TileUse::kForward);
  c.parallel.For(units, [&](int i, int thread) {
    const auto [r, rows] = expert.UnitAt(i);
    Gemm({.dtype = c.dtype(), .m = rows.count, .n = c.tile().rows, .k = width},
         {CopyAt(c, copies, r, rows.first), width}, weights,
         {CopyAt(c, output, r, rows.first, c.tile().first_row), outputs, output.dtype},
         c.Workspace(thread));
  });
}

void ExpertMatmulBackwardOp(const OpContext& c) {
  const ExpertRows expert(c);
  for (int r = 0; r < c.wave.resident(); ++r) {
    c.results.untouched[r] = expert.Of(r).count == 0;
  }
  const bool trained = !c.op().gradients.empty();
  const int chunks = trained ? static_cast<int>(SpanCount(c.tile().rows, kGradientRows)) : 0;
  const MatrixIn weights = RightOperand(c, TileUse::kBackward);
  c.parallel.For(chunks + expert.Units(), [&](int i, int thread) {
    if (i < chunks)
      return ExpertGradient(c, expert, SpanAt(c.tile().rows, kGradientRows, i), thread);
    AddCopiesDelta(c, weights, expert.UnitAt(i - chunks), thread);
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
