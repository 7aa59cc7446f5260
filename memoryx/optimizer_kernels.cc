#include "memoryx/optimizer_kernels.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "memoryx/optimizer_kernels.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "base/simd-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace waferstream {
namespace HWY_NAMESPACE {

template <class D>
struct AdamWLanes {
  hn::Vec<D> weights, exp_avg, exp_avg_sq;
};

template <class D>
HWY_INLINE AdamWLanes<D> AdamWStep(D d, const AdamWFactors& f, hn::Vec<D> gradient,
                                   const AdamWLanes<D>& was) {
  const auto g = hn::Mul(gradient, hn::Set(d, f.clip));
  const auto m =
      hn::Add(hn::Mul(was.exp_avg, hn::Set(d, f.beta1)), hn::Mul(hn::Set(d, f.beta1_rest), g));
  const auto v = hn::Add(hn::Mul(was.exp_avg_sq, hn::Set(d, f.beta2)),
                         hn::Mul(hn::Mul(hn::Set(d, f.beta2_rest), g), g));
  const auto denominator =
      hn::Add(hn::Div(hn::Sqrt(v), hn::Set(d, f.bias2_root)), hn::Set(d, f.eps));
  const auto kept = hn::Mul(was.weights, hn::Set(d, f.keep));
  const auto change = hn::Div(hn::Mul(hn::Set(d, f.step_size), m), denominator);
  return {hn::Sub(kept, change), m, v};
}

// Adds lanes [first, ..) of a row to its sums.
template <class D>
HWY_INLINE void AddToSums(D /*d*/, hn::Vec<D> lanes, size_t first, MemorySums& sums) {
  const hn::RebindToUnsigned<D> u;
  const auto once = hn::Add(hn::Load(u, sums.once + first), hn::BitCast(u, lanes));
  hn::Store(once, u, sums.once + first);
  hn::Store(hn::Add(hn::Load(u, sums.running + first), once), u, sums.running + first);
}

void AdamWArray(const AdamWFactors& f, size_t n, const float* gradient, float* weights,
                float* exp_avg, float* exp_avg_sq, MemorySums* before) {
  const hn::CappedTag<float, MemorySums::kLanes> row_tag;
  const size_t lanes = hn::Lanes(row_tag);
  const size_t in_rows = n / MemorySums::kLanes * MemorySums::kLanes;
  const auto update = [=](auto d, size_t i, auto see) HWY_ATTR {
    const AdamWLanes<decltype(d)> was = {hn::LoadU(d, weights + i), hn::LoadU(d, exp_avg + i),
                                         hn::LoadU(d, exp_avg_sq + i)};
    see(was);
    const AdamWLanes<decltype(d)> is = AdamWStep(d, f, hn::LoadU(d, gradient + i), was);
    hn::StoreU(is.exp_avg, d, exp_avg + i);
    hn::StoreU(is.exp_avg_sq, d, exp_avg_sq + i);
    hn::StoreU(is.weights, d, weights + i);
  };
  MemorySums sums[kAdamWArrays];
  std::copy_n(before, kAdamWArrays, sums);
  for (size_t i = 0; i < in_rows; i += MemorySums::kLanes) {
#pragma GCC unroll 4
    for (size_t lane = 0; lane < MemorySums::kLanes; lane += lanes) {
      update(row_tag, i + lane, [&](const auto& was) HWY_ATTR {
        AddToSums(row_tag, was.weights, lane, sums[0]);
        AddToSums(row_tag, was.exp_avg, lane, sums[1]);
        AddToSums(row_tag, was.exp_avg_sq, lane, sums[2]);
      });
    }
  }
  std::copy_n(sums, kAdamWArrays, before);
  const size_t rest = n - in_rows;
  if (rest == 0) return;
  before[0].Add(weights + in_rows, rest * sizeof(float));
  before[1].Add(exp_avg + in_rows, rest * sizeof(float));
  before[2].Add(exp_avg_sq + in_rows, rest * sizeof(float));
  const hn::CappedTag<float, 1> single;
  for (size_t i = in_rows; i < n; ++i) update(single, i, [](const auto&) {});
}

void SgdArray(const SgdFactors& f, size_t n, const float* gradient, float* weights,
              float* momentum) {
  ForLanes(n, [=](auto d, size_t i) HWY_ATTR {
    const auto w = hn::LoadU(d, weights + i);
    auto change = hn::Add(hn::Mul(hn::LoadU(d, gradient + i), hn::Set(d, f.clip)),
                          hn::Mul(w, hn::Set(d, f.weight_decay)));
    if (momentum != nullptr) {
      change = hn::Add(hn::Mul(hn::LoadU(d, momentum + i), hn::Set(d, f.momentum)), change);
      hn::StoreU(change, d, momentum + i);
    }
    hn::StoreU(hn::Sub(w, hn::Mul(change, hn::Set(d, f.learning_rate))), d, weights + i);
  });
}

void LionArray(const LionFactors& f, size_t n, const float* gradient, float* weights,
               float* exp_avg) {
  ForLanes(n, [=](auto d, size_t i) HWY_ATTR {
    const auto g = hn::Mul(hn::LoadU(d, gradient + i), hn::Set(d, f.clip));
    const auto m = hn::LoadU(d, exp_avg + i);
    const auto direction =
        hn::Add(hn::Mul(m, hn::Set(d, f.beta1)), hn::Mul(hn::Set(d, f.beta1_rest), g));
    const auto zero = hn::Zero(d);
    const auto rate = hn::Set(d, f.learning_rate);
    const auto change = hn::Sub(hn::IfThenElse(hn::Gt(direction, zero), rate, zero),
                                hn::IfThenElse(hn::Lt(direction, zero), rate, zero));
    const auto kept = hn::Mul(hn::LoadU(d, weights + i), hn::Set(d, f.keep));
    hn::StoreU(hn::Add(hn::Mul(m, hn::Set(d, f.beta2)), hn::Mul(hn::Set(d, f.beta2_rest), g)), d,
               exp_avg + i);
    hn::StoreU(hn::Sub(kept, change), d, weights + i);
  });
}

template <class D>
HWY_INLINE hn::Vec<D> Direction(D d, const AdafactorFactors& f, float row, const float* gradient,
                                const float* columns) {
  const auto variance = hn::Mul(hn::Set(d, row), hn::LoadU(d, columns));
  const auto root = hn::Sqrt(hn::Max(variance, hn::Set(d, f.floor)));
  return hn::Div(hn::Mul(hn::LoadU(d, gradient), hn::Set(d, f.clip)), root);
}

void AdafactorDirectionArray(const AdafactorFactors& f, float row, size_t n, const float* gradient,
                             const float* columns, float* direction) {
  ForLanes(n, [=](auto d, size_t i) HWY_ATTR {
    hn::StoreU(Direction(d, f, row, gradient + i, columns + i), d, direction + i);
  });
}

void AdafactorArray(const AdafactorFactors& f, float row, size_t n, const float* gradient,
                    const float* columns, float* weights) {
  ForLanes(n, [=](auto d, size_t i) HWY_ATTR {
    const auto direction = Direction(d, f, row, gradient + i, columns + i);
    const auto kept = hn::Mul(hn::LoadU(d, weights + i), hn::Set(d, f.keep));
    hn::StoreU(hn::Sub(kept, hn::Mul(hn::Set(d, f.step_size), direction)), d, weights + i);
  });
}

void MomentumArray(const MuonFactors& f, size_t n, const float* gradient, float* momentum,
                   float* direction) {
  ForLanes(n, [=](auto d, size_t i) HWY_ATTR {
    const auto g = hn::Mul(hn::LoadU(d, gradient + i), hn::Set(d, f.clip));
    const auto rest = hn::Mul(g, hn::Set(d, f.momentum_rest));
    const auto factor = hn::Set(d, f.momentum);
    const auto m = hn::Add(hn::Mul(hn::LoadU(d, momentum + i), factor), rest);
    hn::StoreU(m, d, momentum + i);
    hn::StoreU(hn::Add(hn::Mul(m, factor), rest), d, direction + i);
  });
}

void StepArray(float keep, float step_size, size_t n, const float* direction, float* weights) {
  ForLanes(n, [=](auto d, size_t i) HWY_ATTR {
    const auto change = hn::Mul(hn::LoadU(d, direction + i), hn::Set(d, step_size));
    const auto kept = hn::Mul(hn::LoadU(d, weights + i), hn::Set(d, keep));
    hn::StoreU(hn::Sub(kept, change), d, weights + i);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace waferstream
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace waferstream {

HWY_EXPORT(AdamWArray);
HWY_EXPORT(SgdArray);
HWY_EXPORT(LionArray);
HWY_EXPORT(AdafactorDirectionArray);
HWY_EXPORT(AdafactorArray);
HWY_EXPORT(MomentumArray);
HWY_EXPORT(StepArray);

void UpdateAdamW(const AdamWFactors& f, size_t n, const float* gradient, float* weights,
                 float* exp_avg, float* exp_avg_sq, MemorySums* before) {
  HWY_DYNAMIC_DISPATCH(AdamWArray)(f, n, gradient, weights, exp_avg, exp_avg_sq, before);
}

void UpdateSgd(const SgdFactors& f, size_t n, const float* gradient, float* weights,
               float* momentum) {
  HWY_DYNAMIC_DISPATCH(SgdArray)(f, n, gradient, weights, momentum);
}

void UpdateLion(const LionFactors& f, size_t n, const float* gradient, float* weights,
                float* exp_avg) {
  HWY_DYNAMIC_DISPATCH(LionArray)(f, n, gradient, weights, exp_avg);
}

void AdafactorDirection(const AdafactorFactors& f, float row, size_t n, const float* gradient,
                        const float* columns, float* direction) {
  HWY_DYNAMIC_DISPATCH(AdafactorDirectionArray)(f, row, n, gradient, columns, direction);
}

void UpdateAdafactor(const AdafactorFactors& f, float row, size_t n, const float* gradient,
                     const float* columns, float* weights) {
  HWY_DYNAMIC_DISPATCH(AdafactorArray)(f, row, n, gradient, columns, weights);
}

void MoveMomentum(const MuonFactors& f, size_t n, const float* gradient, float* momentum,
                  float* direction) {
  HWY_DYNAMIC_DISPATCH(MomentumArray)(f, n, gradient, momentum, direction);
}

void Step(float keep, float step_size, size_t n, const float* direction, float* weights) {
  HWY_DYNAMIC_DISPATCH(StepArray)(keep, step_size, n, direction, weights);
}

}  // namespace waferstream
#endif
