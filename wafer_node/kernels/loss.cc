#include "wafer_node/kernels/loss.h"

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

void Update(const LogitsBlock& block, const int32_t* targets, RowLoss* state) {
  const hn::CappedTag<float, 1> single;
  for (int64_t row = 0; row < block.rows; ++row) {
    const float* logits = block.logits + row * block.stride;
    RowLoss& seen = state[row];
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

void Finish(int64_t rows, const RowLoss* state, float* lse, float* loss) {
  const hn::CappedTag<float, 1> d;
  for (int64_t row = 0; row < rows; ++row) {
    const float sum = state[row].sum;
    lse[row] = state[row].max + hn::GetLane(hn::Log(d, hn::Set(d, sum)));
    // Highway's logarithm is for finite positive numbers.
    if (!(sum < std::numeric_limits<float>::infinity())) lse[row] = sum;
    loss[row] = lse[row] - state[row].target;
  }
}

template <class Element>
HWY_INLINE void BackwardRow(const float* logits, int64_t n, int64_t target, float lse, float scale,
                            Element* out) {
  // The target's own value first: `out` may be `logits`.
  const hn::CappedTag<float, 1> single;
  const auto at = [=](auto d, size_t i) HWY_ATTR {
    return ExpOf(d, hn::Sub(hn::LoadU(d, logits + i), hn::Set(d, lse)));
  };
  const float p = target < 0 ? 0.0f : hn::GetLane(at(single, target));
  ForLanes(n, [=](auto d, size_t i)
                  HWY_ATTR { StoreFloats(d, hn::Mul(at(d, i), hn::Set(d, scale)), out + i); });
  if (target >= 0) StoreFloats(single, hn::Set(single, (p - 1.0f) * scale), out + target);
}

void Backward(const LogitsBlock& block, const int32_t* targets, const float* lse, float scale,
              Dtype dtype, void* d_logits, int64_t stride) {
  WithElement(dtype, [=](auto element) HWY_ATTR {
    auto* out = static_cast<decltype(element)*>(d_logits);
    for (int64_t row = 0; row < block.rows; ++row) {
      BackwardRow(block.logits + row * block.stride, block.ids, TargetColumn(block, targets[row]),
                  lse[row], scale, out + row * stride);
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

void StartLoss(int64_t rows, RowLoss* state) {
  // The lowest finite number rather than -inf, so that "max so far - max" is never inf - inf.
  for (int64_t row = 0; row < rows; ++row) {
    state[row] = {.max = std::numeric_limits<float>::lowest(), .sum = 0, .target = 0};
  }
}

void UpdateLoss(const LogitsBlock& block, const int32_t* targets, RowLoss* state) {
  HWY_DYNAMIC_DISPATCH(Update)(block, targets, state);
}

void FinishLoss(int64_t rows, const RowLoss* state, float* lse, float* loss) {
  HWY_DYNAMIC_DISPATCH(Finish)(rows, state, lse, loss);
}

void LossBackward(const LogitsBlock& block, const int32_t* targets, const float* lse, float scale,
                  Dtype dtype, void* d_logits, int64_t stride) {
  HWY_DYNAMIC_DISPATCH(Backward)(block, targets, lse, scale, dtype, d_logits, stride);
}

}  // namespace waferstream
#endif
