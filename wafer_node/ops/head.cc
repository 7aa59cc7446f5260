// The output projection and the loss, vocabulary tile by vocabulary tile.
#include <algorithm>

#include "wafer_node/activation.h"
#include "wafer_node/kernels/gemm.h"
#include "wafer_node/kernels/loss.h"
#include "wafer_node/kernels/reduce.h"
#include "wafer_node/ops/kinds.h"
#include "wafer_node/right_operand.h"

namespace waferstream {
namespace {

static_assert(sizeof(RowLoss) == kRowLossFloats * sizeof(float));

RowLosses RowLossesAt(const OpContext& c, const Activation& state, int resident, int64_t row = 0) {
  return {state.Floats(c, resident, row), state.width};
}

// Of the pass: a validation's loss is the cross-entropy alone, so that it can be compared.
LossTerms TermsOf(const OpContext& c) {
  if (c.wave.pass.kind == PassKind::kValidation) return {};
  const Attributes& a = c.node().attributes;
  return {a.label_smoothing, a.z_loss, c.plan.job.model().vocab()};
}

// logits [rows, columns] of the tile's ids `columns`, `stride` elements a row; `weights` is the
// tile as forward takes it.
void MakeLogits(const OpContext& c, const MatrixIn& weights, int resident, RowSpan rows,
                RowSpan columns, float* logits, int64_t stride, std::span<std::byte> workspace) {
  const Activation input = Read(c, 0);
  const bool has_bias = c.in.tiles.size() > 1;
  Gemm({.kind = c.products(),
        .m = rows.count,
        .n = columns.count,
        .k = input.width,
        .bias = has_bias ? ElementAt(c.in.tiles[0], c.dtype(), columns.first) : nullptr,
        .bias_dtype = c.dtype()},
       {input.Of(c, resident, rows.first), input.width}, ColumnsFrom(c, weights, columns.first),
       {logits, stride}, workspace);
}

// The tile's logits of a token and the ids behind `column`, where they are kept.
float* KeptLogits(const OpContext& c, int resident, int64_t row, int64_t column) {
  float* const all = c.at.As<float>(SramBuffer::kLogits, resident);
  return all + c.wave.tokens() * c.tile().first_row + row * c.tile().rows + column;
}

const int32_t* Targets(const OpContext& c, int resident, int64_t row) {
  return c.at.As<int32_t>(SramBuffer::kTargets, resident) + row;
}

// The tile's ids, a few columns at a time, into the online log-sum-exp of some rows.
void UpdateRows(const OpContext& c, const MatrixIn& weights, int resident, RowSpan rows,
                int thread) {
  const Tile& tile = c.tile();
  const RowLosses state = RowLossesAt(c, Written(c), resident, rows.first);
  if (!c.op().accumulate) StartLoss(rows.count, state);
  const bool keeps = c.plan.policy.keeps_logits;
  const int64_t stride = keeps ? tile.rows : std::min(kHeadColumns, tile.rows);
  std::span<std::byte> workspace = c.Workspace(thread);
  float* logits = reinterpret_cast<float*>(workspace.data());
  if (!keeps) workspace = workspace.subspan(kUnitRows * stride * sizeof(float));
  for (int64_t i = 0; i < SpanCount(tile.rows, kHeadColumns); ++i) {
    const RowSpan columns = SpanAt(tile.rows, kHeadColumns, i);
    if (keeps) logits = KeptLogits(c, resident, rows.first, columns.first);
    MakeLogits(c, weights, resident, rows, columns, logits, stride, workspace);
    UpdateLoss({.rows = rows.count,
                .ids = columns.count,
                .first_id = tile.first_row + columns.first,
                .logits = logits,
                .stride = stride},
               Targets(c, resident, rows.first), state);
  }
}

// Backward goes through a micro-batch in blocks of kHeadRows tokens, because a block's
// probabilities serve two products: the delta (a sum over ids) and the tile's gradient (a sum over
// tokens).
class HeadBlock {
 public:
  // The tile as either pass takes it.
  struct Weights {
    MatrixIn forward, backward;
  };

  HeadBlock(const OpContext& c, const Weights& weights, int resident, RowSpan rows)
      : c_(c),
        weights_(weights),
        resident_(resident),
        rows_(rows),
        ids_(c.tile().rows),
        weight_(c.GradientOf(c.node().matrices[0])),
        bias_(c.node().vectors.empty() ? -1 : c.GradientOf(c.node().vectors[0])) {}

  void Run() {
    const int spans = static_cast<int>(SpanCount(rows_.count, kUnitRows));
    const int columns = static_cast<int>(SpanCount(ids_, kHeadColumns));
    c_.parallel.For(spans * columns, [&](int i, int thread) {
      MakeProbabilities(SpanAt(rows_.count, kUnitRows, i % spans),
                        SpanAt(ids_, kHeadColumns, i / spans), thread);
    });
    const int chunks = static_cast<int>(SpanCount(ids_, kGradientRows));
    c_.parallel.For(spans + chunks, [&](int i, int thread) {
      if (i < spans) return AddDelta(SpanAt(rows_.count, kUnitRows, i), thread);
      const RowSpan chunk = SpanAt(ids_, kGradientRows, i - spans);
      if (weight_ >= 0) AddGradient(chunk, thread);
      if (bias_ >= 0) AddBiasGradient(chunk);
    });
  }

 private:
  // The block's logits, [rows, ids].
  float* Logits(int64_t row, int64_t column) const {
    if (c_.plan.policy.keeps_logits) return KeptLogits(c_, resident_, rows_.first + row, column);
    return c_.at.As<float>(SramBuffer::kLogits, 0) + row * ids_ + column;
  }

  // Their gradient. In fp32 it takes their place.
  std::byte* DeltaLogits(int64_t row, int64_t column) const {
    if (c_.dtype() == Dtype::kF32) return reinterpret_cast<std::byte*>(Logits(row, column));
    std::byte* const base = c_.at.Part(SramBuffer::kProbabilities, 0).data();
    return ElementAt(base, c_.dtype(), row * ids_ + column);
  }

  void MakeProbabilities(RowSpan rows, RowSpan columns, int thread) const {
    const RowSpan of_batch{rows_.first + rows.first, rows.count};
    float* logits = Logits(rows.first, columns.first);
    if (!c_.plan.policy.keeps_logits) {
      MakeLogits(c_, weights_.forward, resident_, of_batch, columns, logits, ids_,
                 c_.Workspace(thread));
    }
    LossBackward({.rows = rows.count,
                  .ids = columns.count,
                  .first_id = c_.tile().first_row + columns.first,
                  .logits = logits,
                  .stride = ids_},
                 Targets(c_, resident_, of_batch.first),
                 Read(c_, 1).Floats(c_, resident_, of_batch.first), TermsOf(c_),
                 static_cast<float>(c_.wave.TokenShare()), c_.dtype(),
                 DeltaLogits(rows.first, columns.first), ids_);
  }

  void AddDelta(RowSpan rows, int thread) const {
    const Activation delta = Written(c_);
    Gemm({.kind = c_.products(),
          .m = rows.count,
          .n = delta.width,
          .k = ids_,
          .accumulate = c_.op().accumulate},
         {DeltaLogits(rows.first, 0), ids_}, weights_.backward,
         {delta.Of(c_, resident_, rows_.first + rows.first), delta.width}, c_.Workspace(thread));
  }

  void AddGradient(RowSpan chunk, int thread) const {
    const Activation input = Read(c_, 0);
    const int64_t hidden = input.width, first = chunk.first * hidden;
    Gemm({.kind = c_.products(),
          .m = chunk.count,
          .n = hidden,
          .k = rows_.count,
          .accumulate = rows_.first > 0},
         {DeltaLogits(0, chunk.first), ids_, true}, {input.Of(c_, resident_, rows_.first), hidden},
         {c_.Staging(weight_, resident_) + first, hidden}, c_.Workspace(thread));
    if (IsLast()) c_.FinishStaged(weight_, resident_, first, chunk.count * hidden);
  }

  void AddBiasGradient(RowSpan chunk) const {
    float* sum = c_.Staging(bias_, resident_) + chunk.first;
    if (rows_.first == 0) std::fill_n(sum, chunk.count, 0.0f);
    ColumnSum(c_.dtype(), DeltaLogits(0, chunk.first), rows_.count, chunk.count, ids_, sum);
    if (IsLast()) c_.FinishStaged(bias_, resident_, chunk.first, chunk.count);
  }

  bool IsLast() const { return rows_.first + rows_.count == c_.wave.tokens(); }

  const OpContext& c_;
  const Weights& weights_;
  const int resident_;
  const RowSpan rows_;
  const int64_t ids_;
  const int weight_, bias_;  // gradients of the op; -1: none
};

// Of the last position only, for the next token.
void LastLogits(const OpContext& c) {
  const Tile& tile = c.tile();
  float* logits = reinterpret_cast<float*>(c.at.Part(SramBuffer::kLogits, 0).data());
  const RowSpan row{c.wave.tokens() - 1, 1};
  const int chunks = static_cast<int>(SpanCount(tile.rows, kHeadColumns));
  const MatrixIn weights = {c.weights(), Read(c, 0).width, true};  // of one use: not worth packing
  c.parallel.For(chunks, [&](int i, int thread) {
    const RowSpan columns = SpanAt(tile.rows, kHeadColumns, i);
    MakeLogits(c, weights, 0, row, columns, logits + columns.first, tile.rows, c.Workspace(thread));
  });
  if (!c.op().accumulate) c.results.picker->Start(c.wave.pass.step);
  c.results.picker->Add(tile.first_row, logits, tile.rows);
  const GenerateSpec& generate = c.plan.job.generate();
  if (!generate.logits() || c.wave.pass.step + 1 < generate.tokens()) return;
  if (!c.op().accumulate) c.results.logits.clear();
  c.results.logits.insert(c.results.logits.end(), logits, logits + tile.rows);
}

// What the balance of the experts costs a micro-batch, a token, and what each token's probability
// of an expert adds to it (plan/graph.h): in the last value that the operation writes.
double BalanceLoss(const OpContext& c, int resident) {
  const Attributes& a = c.node().attributes;
  float* slope = Written(c, 2).Floats(c, resident);
  const double layers = static_cast<double>(c.operation().reads.size() - 1);
  const double all = layers * c.wave.tokens();  // tokens of all layers
  const double batch =
      double{1} * c.plan.job.training().global_batch() * c.plan.job.model().context();
  double loss = 0;
  for (int64_t e = 0; e < a.experts; ++e) {
    double copies = 0, probabilities = 0;
    for (size_t i = 1; i < c.operation().reads.size(); ++i) {
      const float* load = Read(c, i).Floats(c, resident);
      copies += load[e];
      probabilities += load[a.experts + e];
    }
    const double each = a.aux_loss * a.experts * copies / all / all;
    loss += each * probabilities;
    slope[e] = static_cast<float>(each * c.wave.tokens() / batch);
  }
  return loss;
}

}  // namespace

void LogitsOp(const OpContext& c) {
  if (c.plan.is_generation()) return LastLogits(c);
  const MatrixIn weights = RightOperand(c, TileUse::kForward);
  c.ForRows([&](int r, RowSpan rows, int thread) { UpdateRows(c, weights, r, rows, thread); });
}

void LogitsBackwardOp(const OpContext& c) {
  const int64_t tokens = c.wave.tokens();
  const bool again = !c.plan.policy.keeps_logits;
  const HeadBlock::Weights weights = {again ? RightOperand(c, TileUse::kForward) : MatrixIn(),
                                      RightOperand(c, TileUse::kBackward)};
  for (int r = 0; r < c.wave.resident(); ++r) {
    for (int64_t i = 0; i < SpanCount(tokens, kHeadRows); ++i) {
      HeadBlock(c, weights, r, SpanAt(tokens, kHeadRows, i)).Run();
    }
  }
}

void LossOp(const OpContext& c) {
  c.results.loss_sums.assign(c.wave.resident(), 0);
  c.parallel.For(c.wave.resident(), [&](int r, int) {
    float* losses = Written(c, 1).Floats(c, r);
    FinishLoss(c.wave.tokens(), Targets(c, r, 0), RowLossesAt(c, Read(c, 0), r), TermsOf(c),
               Written(c, 0).Floats(c, r), losses);
    double sum = 0;
    for (int64_t t = 0; t < c.MeasuredTokens(r); ++t) sum += losses[t];
    sum *= c.wave.TokenWeight();
    const bool balances = c.node().attributes.aux_loss != 0;
    if (balances && c.wave.pass.kind == PassKind::kForward) {
      sum += BalanceLoss(c, r) * c.wave.tokens();
    }
    c.results.loss_sums[r] = sum;
  });
}

void PickTokenOp(const OpContext& c) { c.results.picked = c.results.picker->Pick(); }

}  // namespace waferstream
