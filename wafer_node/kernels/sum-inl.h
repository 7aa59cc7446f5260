// Sums and maxima over one row, for code that Highway compiles once per SIMD target.
#if defined(WAFERSTREAM_KERNELS_SUM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WAFERSTREAM_KERNELS_SUM_INL_H_
#undef WAFERSTREAM_KERNELS_SUM_INL_H_
#else
#define WAFERSTREAM_KERNELS_SUM_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/simd-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace waferstream {
namespace HWY_NAMESPACE {

// Sum of value(d, i) over [0, n), in one order whatever the width of a vector: 16 running sums,
// element i in sum i % 16, added pairwise at the end (sum j and sum j + 8, then + 4, 2, 1).
// `kLanesMost`: of a vector; tests have narrower ones.
template <size_t kLanesMost = 16, class Value>
HWY_INLINE float SumLanes(size_t n, Value value) {
  constexpr size_t kSums = 16;
  const hn::CappedTag<float, std::min(kSums, kLanesMost)> d;
  constexpr size_t kLanes = hn::MaxLanes(d), kVectors = kSums / kLanes;
  hn::Vec<decltype(d)> running[kVectors];
  for (auto& sum : running) sum = hn::Zero(d);
  const size_t whole = n / kSums * kSums;
  for (size_t i = 0; i < whole; i += kSums) {
#pragma GCC unroll 16
    for (size_t v = 0; v < kVectors; ++v) {
      running[v] = hn::Add(running[v], value(d, i + v * kLanes));
    }
  }
  HWY_ALIGN float sums[kSums];
  for (size_t v = 0; v < kVectors; ++v) hn::Store(running[v], d, sums + v * kLanes);
  const hn::CappedTag<float, 1> single;
  for (size_t i = whole; i < n; ++i) sums[i % kSums] += hn::GetLane(value(single, i));
  for (size_t half = kSums / 2; half > 0; half /= 2) {
    for (size_t i = 0; i < half; ++i) sums[i] += sums[i + half];
  }
  return sums[0];
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
