// The products of all experts, one tile of one expert at a time, with the copies that it was given.
#include <algorithm>

#include "wafer_node/expert_rows.h"
#include "wafer_node/kernels/gemm.h"
#include "wafer_node/ops/kinds.h"
#include "wafer_node/right_operand.h"

namespace waferstream {
namespace {

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
      Gemm({.kind = c.products(), .m = chunk.count, .n = width, .k = rows.count},
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
  Gemm({.kind = c.products(),
        .m = rows.count,
        .n = width,
        .k = c.tile().rows,
        .accumulate = c.op().accumulate},
       {CopyAt(c, output_delta, r, rows.first, c.tile().first_row), outputs}, weights,
       {CopyAt(c, delta, r, rows.first), width}, c.Workspace(thread));
}

}  // namespace

void ExpertMatmulOp(const OpContext& c) {
  const Activation copies = Read(c, 0), output = Written(c);
  const int64_t width = WidthOfCopies(c, copies), outputs = WidthOfCopies(c, output);
  const ExpertRows expert(c);
  const int units = expert.Units();
  if (units == 0) return;
  const MatrixIn weights = RightOperand(c, TileUse::kForward);
  c.parallel.For(units, [&](int i, int thread) {
    const auto [r, rows] = expert.UnitAt(i);
    Gemm({.kind = c.products(), .m = rows.count, .n = c.tile().rows, .k = width},
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

}  // namespace waferstream
