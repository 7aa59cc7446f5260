// Sums and maxima over one row, for code that Highway compiles once per SIMD target.
#if defined(WAFERSTREAM_KERNELS_SUM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WAFERSTREAM_KERNELS_SUM_INL_H_
#undef WAFERSTREAM_KERNELS_SUM_INL_H_
#else
#define WAFERSTREAM_KERNELS_SUM_INL_H_
#endif

#include <cmath>
#include <cstddef>

#include "base/simd-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace waferstream {
namespace HWY_NAMESPACE {

// Sum of value(d, i) over [0, n): one running sum a lane, then across lanes, then the rest. The
// order depends on n and the SIMD target only.
template <class Value>
HWY_INLINE float SumLanes(size_t n, Value value) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  auto sums = hn::Zero(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) sums = hn::Add(sums, value(d, i));
  float sum = hn::GetLane(hn::SumOfLanes(d, sums));
  const hn::CappedTag<float, 1> single;
  for (; i < n; ++i) sum += hn::GetLane(value(single, i));
  return sum;
}

// Largest of x [n], at least `floor`. What it says of a NaN is unspecified.
HWY_INLINE float MaxLanes(const float* x, size_t n, float floor) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  auto most = hn::Set(d, floor);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) most = hn::Max(most, hn::LoadU(d, x + i));
  float max = hn::GetLane(hn::MaxOfLanes(d, most));
  for (; i < n; ++i) max = x[i] > max ? x[i] : max;
  return max;
}

}  // namespace HWY_NAMESPACE
}  // namespace waferstream
HWY_AFTER_NAMESPACE();

#endif
