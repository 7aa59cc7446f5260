// exp() for code that Highway compiles once per SIMD target.
#if defined(WAFERSTREAM_KERNELS_EXP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WAFERSTREAM_KERNELS_EXP_INL_H_
#undef WAFERSTREAM_KERNELS_EXP_INL_H_
#else
#define WAFERSTREAM_KERNELS_EXP_INL_H_
#endif

#include "base/simd-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace waferstream {
namespace HWY_NAMESPACE {

// exp(x), with x first brought into [-87, 88], to about 1 unit in the last place, or, where
// multiply-adds are not fused, 3e-6 of it at the ends; a NaN stays one.
//
// 2^n times a polynomial for 2^r, |r| <= 1/2. Highway's own exp() takes twice the instructions,
// which decides the speed of softmax and GELU, and it turns a NaN into 0, which would hide the very
// thing that has to stop a commit.
template <class D>
HWY_INLINE hn::Vec<D> ExpOf(D d, hn::Vec<D> x) {
  const hn::Rebind<int32_t, D> di;
  const auto clamped = hn::Min(hn::Max(x, hn::Set(d, -87.0f)), hn::Set(d, 88.0f));
  // log2(e) in two parts, the second for what fp32 cuts off the first.
  const auto log2e = hn::Set(d, 1.44269502162933349609375f);
  const auto log2e_rest = hn::Set(d, 1.92596299112661746887e-8f);
  const auto n = hn::Round(hn::Mul(clamped, log2e));
  const auto r = hn::MulAdd(clamped, log2e_rest, hn::MulSub(clamped, log2e, n));
  auto power = hn::Set(d, 1.54035304e-4f);  // ln(2)^6 / 6!, and so down
  power = hn::MulAdd(power, r, hn::Set(d, 1.33335581e-3f));
  power = hn::MulAdd(power, r, hn::Set(d, 9.61812911e-3f));
  power = hn::MulAdd(power, r, hn::Set(d, 5.55041087e-2f));
  power = hn::MulAdd(power, r, hn::Set(d, 2.40226507e-1f));
  power = hn::MulAdd(power, r, hn::Set(d, 6.93147181e-1f));
  power = hn::MulAdd(power, r, hn::Set(d, 1.0f));
  const auto exponent = hn::ShiftLeft<23>(hn::ConvertTo(di, n));
  const auto scaled = hn::BitCast(d, hn::Add(hn::BitCast(di, power), exponent));
  return hn::IfThenElse(hn::IsNaN(x), x, scaled);
}

}  // namespace HWY_NAMESPACE
}  // namespace waferstream
HWY_AFTER_NAMESPACE();

#endif
