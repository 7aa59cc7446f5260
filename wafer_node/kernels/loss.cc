#include "wafer_node/kernels/loss.h"

#include <algorithm>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "wafer_node/kernels/loss.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"
#include "wafer_node/kernels/exp-inl.h"
#include "wafer_node/kernels/sum-inl.h"

HWY_BEFORE_NAMESPACE();
namespace waferstream {
namespace HWY_NAMESPACE {

// A target outside the block has a column outside [0, ids).
HWY_INLINE int64_t TargetColumn(const LogitsBlock& block, int32_t target) {
  const int64_t column = target - block.first_id;
  return column >= 0 && column < block.ids ? column : -1;
}

void Update(const LogitsBlock& block, const int32_t* targets, const RowLosses& state) {
  const hn::CappedTag<float, 1> single;
  for (int64_t row = 0; row < block.rows; ++row) {
    const float* logits = block.logits + row * block.stride;
    RowLoss& seen = state.At(row);
    if (float* sum = state.LogitSum(row)) {
      *sum +=
          SumLanes(block.ids, [=](auto d, size_t i) HWY_ATTR { return hn::LoadU(d, logits + i); });
    }
    const float max = MaxLanes(logits, block.ids, seen.max);
    const auto shrink = ExpOf(single, hn::Set(single, seen.max - max));
    seen.sum = seen.sum * hn::GetLane(shrink) + SumLanes(block.ids, [=](auto d, size_t i) HWY_ATTR {
                 return ExpOf(d, hn::Sub(hn::LoadU(d, logits + i), hn::Set(d, max)));
               });
    seen.max = max;
    const int64_t column = TargetColumn(block, targets[row]);
    if (column >= 0) seen.target = logits[column];
  }
}

// Of one row, whose cross-entropy is `plain`.
float WithTerms(const LossTerms& terms, float plain, float lse, const float* logit_sum) {
  if (terms.smoothing > 0) {
    const float s = static_cast<float>(terms.smoothing);
    plain = (1 - s) * plain + s * (lse - *logit_sum / static_cast<float>(terms.vocab));
  }
  if (terms.z_loss > 0) plain += static_cast<float>(terms.z_loss) * lse * lse;
  return plain;
}

void Finish(int64_t rows, const int32_t* targets, const RowLosses& state, const LossTerms& terms,
            float* lse, float* loss) {
  const hn::CappedTag<float, 1> d;
  for (int64_t row = 0; row < rows; ++row) {
    const RowLoss& seen = state.At(row);
    lse[row] = seen.max + hn::GetLane(hn::Log(d, hn::Set(d, seen.sum)));
    // Highway's logarithm is for finite positive numbers.
    if (!(seen.sum < std::numeric_limits<float>::infinity())) lse[row] = seen.sum;
    loss[row] = WithTerms(terms, lse[row] - seen.target, lse[row], state.LogitSum(row));
    if (targets[row] == kNoTarget) loss[row] = 0;
  }
}

// What a row's gradient is made of: softmax * softmax - spread - onehot * target, times scale. The
// factors of a plain loss are 1, 0 and 1, with which every bit is as without them.
struct Slopes {
  float softmax;
  float spread;
  float target;
  float scale;
};

Slopes SlopesOf(const LossTerms& terms, float lse, float scale) {
  const double s = terms.smoothing;
  return {.softmax = static_cast<float>(1 + 2 * terms.z_loss * lse),
          .spread = s > 0 ? static_cast<float>(s / static_cast<double>(terms.vocab)) : 0,
          .target = static_cast<float>(1 - s),
          .scale = scale};
}

template <class Element>
HWY_INLINE void BackwardRow(const float* logits, int64_t n, int64_t target, float lse,
                            const Slopes& slopes, Element* out) {
  // The target's own value first: `out` may be `logits`.
  const hn::CappedTag<float, 1> single;
  const auto at = [=](auto d, size_t i) HWY_ATTR {
    return ExpOf(d, hn::Sub(hn::LoadU(d, logits + i), hn::Set(d, lse)));
  };
  const float p = target < 0 ? 0.0f : hn::GetLane(at(single, target));
  const float spread = slopes.spread * slopes.scale;
  ForLanes(n, [=](auto d, size_t i) HWY_ATTR {
    const auto whole = hn::Mul(at(d, i), hn::Set(d, slopes.softmax));
    StoreFloats(d, hn::Sub(hn::Mul(whole, hn::Set(d, slopes.scale)), hn::Set(d, spread)), out + i);
  });
  if (target < 0) return;
  const float rest = p * slopes.softmax - slopes.target - slopes.spread;
  StoreFloats(single, hn::Set(single, rest * slopes.scale), out + target);
}

void Backward(const LogitsBlock& block, const int32_t* targets, const float* lse,
              const LossTerms& terms, float scale, Dtype dtype, void* d_logits, int64_t stride) {
  WithElement(dtype, [=](auto element) HWY_ATTR {
    auto* out = static_cast<decltype(element)*>(d_logits);
    for (int64_t row = 0; row < block.rows; ++row) {
      if (targets[row] == kNoTarget) {
        std::fill_n(out + row * stride, block.ids, decltype(element){});
        continue;
      }
      BackwardRow(block.logits + row * block.stride, block.ids, TargetColumn(block, targets[row]),
                  lse[row], SlopesOf(terms, lse[row], scale), out + row * stride);
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace waferstream
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace waferstream {

HWY_EXPORT(Update);
HWY_EXPORT(Finish);
HWY_EXPORT(Backward);

void StartLoss(int64_t rows, const RowLosses& state) {
  // The lowest finite number rather than -inf, so that "max so far - max" is never inf - inf.
  for (int64_t row = 0; row < rows; ++row) {
    state.At(row) = {.max = std::numeric_limits<float>::lowest(), .sum = 0, .target = 0};
    if (float* sum = state.LogitSum(row)) *sum = 0;
  }
}

void UpdateLoss(const LogitsBlock& block, const int32_t* targets, const RowLosses& state) {
  HWY_DYNAMIC_DISPATCH(Update)(block, targets, state);
}

void FinishLoss(int64_t rows, const int32_t* targets, const RowLosses& state,
                const LossTerms& terms, float* lse, float* loss) {
  HWY_DYNAMIC_DISPATCH(Finish)(rows, targets, state, terms, lse, loss);
}

void LossBackward(const LogitsBlock& block, const int32_t* targets, const float* lse,
                  const LossTerms& terms, float scale, Dtype dtype, void* d_logits,
                  int64_t stride) {
  HWY_DYNAMIC_DISPATCH(Backward)(block, targets, lse, terms, scale, dtype, d_logits, stride);
}

}  // namespace waferstream
#endif
