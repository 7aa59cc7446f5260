// Loads, stores and loops over float and Bf16 arrays for code that Highway compiles once per SIMD
// target. Everything here works in fp32 lanes; only the element in memory differs.
//
// Include it only after the target has been set up by hwy/foreach_target.h.
#if defined(WAFERSTREAM_BASE_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WAFERSTREAM_BASE_SIMD_INL_H_
#undef WAFERSTREAM_BASE_SIMD_INL_H_
#else
#define WAFERSTREAM_BASE_SIMD_INL_H_
#endif

#include <cstddef>
#include <cstdint>

#include "base/dtype.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace waferstream {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class D>
HWY_INLINE hn::Vec<D> LoadFloats(D d, const float* from) {
  return hn::LoadU(d, from);
}

template <class D>
HWY_INLINE hn::Vec<D> LoadFloats(D d, const Bf16* from) {
  const hn::Rebind<uint16_t, D> d16;
  const hn::Rebind<uint32_t, D> d32;
  const auto upper = hn::PromoteTo(d32, hn::LoadU(d16, &from->bits));
  return hn::BitCast(d, hn::ShiftLeft<16>(upper));
}

template <class D>
HWY_INLINE void StoreFloats(D d, hn::Vec<D> v, float* to) {
  hn::StoreU(v, d, to);
}

// The same rounding as ToBf16() in base/dtype.h.
template <class D>
HWY_INLINE void StoreFloats(D /*d*/, hn::Vec<D> v, Bf16* to) {
  const hn::Rebind<uint16_t, D> d16;
  const hn::Rebind<uint32_t, D> d32;
  const hn::Rebind<int32_t, D> di32;
  const auto u = hn::BitCast(d32, v);
  const auto odd = hn::And(hn::ShiftRight<16>(u), hn::Set(d32, 1));
  const auto rounded = hn::ShiftRight<16>(hn::Add(u, hn::Add(odd, hn::Set(d32, 0x7fff))));
  const auto nan = hn::Or(hn::ShiftRight<16>(u), hn::Set(d32, 0x40));
  const auto is_nan = hn::RebindMask(d32, hn::IsNaN(v));
  const auto upper = hn::IfThenElse(is_nan, nan, rounded);
  hn::StoreU(hn::DemoteTo(d16, hn::BitCast(di32, upper)), d16, &to->bits);
}

// Calls body(x) with a value of the element type that `dtype` names.
template <class Body>
HWY_INLINE void WithElement(Dtype dtype, Body body) {
  if (dtype == Dtype::kF32) {
    body(float{});
  } else {
    body(Bf16{});
  }
}

// Calls body(d, i) over [0, n): full vectors first, then single lanes. An elementwise body gives
// the same bits on every target, because a lane never sees its neighbours.
template <class Body>
HWY_INLINE void ForLanes(size_t n, Body body) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) body(d, i);
  const hn::CappedTag<float, 1> single;
  for (; i < n; ++i) body(single, i);
}

}  // namespace HWY_NAMESPACE
}  // namespace waferstream
HWY_AFTER_NAMESPACE();

#endif
