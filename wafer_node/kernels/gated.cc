#include "wafer_node/kernels/gated.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "wafer_node/kernels/gated.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"
#include "wafer_node/kernels/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace waferstream {
namespace HWY_NAMESPACE {

template <class D>
HWY_INLINE hn::Vec<D> Sigmoid(D d, hn::Vec<D> x) {
  const auto one = hn::Set(d, 1.0f);
  return hn::Div(one, hn::Add(one, ExpOf(d, hn::Neg(x))));
}

void SiluGated(Dtype dtype, const void* gate, const void* up, void* out, size_t n) {
  WithElement(dtype, [=](auto element) HWY_ATTR {
    using Element = decltype(element);
    const auto* g = static_cast<const Element*>(gate);
    const auto* u = static_cast<const Element*>(up);
    auto* to = static_cast<Element*>(out);
    ForLanes(n, [=](auto d, size_t i) HWY_ATTR {
      const auto x = LoadFloats(d, g + i);
      StoreFloats(d, hn::Mul(hn::Mul(x, Sigmoid(d, x)), LoadFloats(d, u + i)), to + i);
    });
  });
}

// silu'(x) = s + x s (1 - s), with s the sigmoid.
void SiluGatedGradient(Dtype dtype, const void* gate, const void* up, const float* d_out,
                       void* d_gate, void* d_up, size_t n) {
  WithElement(dtype, [=](auto element) HWY_ATTR {
    using Element = decltype(element);
    const auto* g = static_cast<const Element*>(gate);
    const auto* u = static_cast<const Element*>(up);
    auto* to_gate = static_cast<Element*>(d_gate);
    auto* to_up = static_cast<Element*>(d_up);
    ForLanes(n, [=](auto d, size_t i) HWY_ATTR {
      const auto x = LoadFloats(d, g + i), y = LoadFloats(d, u + i), d_y = hn::LoadU(d, d_out + i);
      const auto s = Sigmoid(d, x), silu = hn::Mul(x, s);
      const auto slope = hn::Add(s, hn::Mul(silu, hn::Sub(hn::Set(d, 1.0f), s)));
      StoreFloats(d, hn::Mul(hn::Mul(d_y, y), slope), to_gate + i);
      StoreFloats(d, hn::Mul(d_y, silu), to_up + i);
    });
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace waferstream
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace waferstream {

HWY_EXPORT(SiluGated);
HWY_EXPORT(SiluGatedGradient);

void SiluGatedForward(Dtype dtype, const void* gate, const void* up, void* out, size_t n) {
  HWY_DYNAMIC_DISPATCH(SiluGated)(dtype, gate, up, out, n);
}

void SiluGatedBackward(Dtype dtype, const void* gate, const void* up, const float* d_out,
                       void* d_gate, void* d_up, size_t n) {
  HWY_DYNAMIC_DISPATCH(SiluGatedGradient)(dtype, gate, up, d_out, d_gate, d_up, n);
}

}  // namespace waferstream
#endif
