#include "base/vector_math.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "base/vector_math.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "base/simd-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace waferstream {
namespace HWY_NAMESPACE {

void AddArrays(float* dst, const float* src, size_t n) {
  ForLanes(n, [=](auto d, size_t i) HWY_ATTR {
    StoreFloats(d, hn::Add(LoadFloats(d, dst + i), LoadFloats(d, src + i)), dst + i);
  });
}

template <class From, class To>
HWY_INLINE void ConvertArray(const From* src, To* dst, size_t n) {
  ForLanes(n, [=](auto d, size_t i) HWY_ATTR { StoreFloats(d, LoadFloats(d, src + i), dst + i); });
}

void FloatToBf16(const float* src, Bf16* dst, size_t n) { ConvertArray(src, dst, n); }
void Bf16ToFloat(const Bf16* src, float* dst, size_t n) { ConvertArray(src, dst, n); }

double SumOfSquares(const float* x, size_t n) {
  constexpr size_t kSums = 16;
  const hn::CappedTag<double, 8> d;
  const hn::Rebind<float, decltype(d)> df;
  const size_t lanes = hn::Lanes(d);
  HWY_ALIGN double sums[kSums] = {};
  // Lane groups outside, so that a group's running sums stay in one register.
  const size_t whole = n / kSums * kSums;
  for (size_t group = 0; group < kSums; group += lanes) {
    auto sum = hn::Zero(d);
    for (size_t i = group; i < whole; i += kSums) {
      const auto v = hn::PromoteTo(d, hn::LoadU(df, x + i));
      sum = hn::Add(sum, hn::Mul(v, v));
    }
    hn::Store(sum, d, sums + group);
  }
  for (size_t i = whole; i < n; ++i) sums[i % kSums] += double{x[i]} * x[i];
  for (size_t half = kSums / 2; half > 0; half /= 2) {
    for (size_t i = 0; i < half; ++i) sums[i] += sums[i + half];
  }
  return sums[0];
}

}  // namespace HWY_NAMESPACE
}  // namespace waferstream
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace waferstream {

HWY_EXPORT(AddArrays);
HWY_EXPORT(FloatToBf16);
HWY_EXPORT(Bf16ToFloat);
HWY_EXPORT(SumOfSquares);

void Add(float* dst, const float* src, size_t n) { HWY_DYNAMIC_DISPATCH(AddArrays)(dst, src, n); }

double SquareSum(const float* x, size_t n) { return HWY_DYNAMIC_DISPATCH(SumOfSquares)(x, n); }

void ConvertToBf16(const float* src, Bf16* dst, size_t n) {
  HWY_DYNAMIC_DISPATCH(FloatToBf16)(src, dst, n);
}

void ConvertToFloat(const Bf16* src, float* dst, size_t n) {
  HWY_DYNAMIC_DISPATCH(Bf16ToFloat)(src, dst, n);
}

}  // namespace waferstream
#endif
