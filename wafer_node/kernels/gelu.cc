#include "wafer_node/kernels/gelu.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "wafer_node/kernels/gelu.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"
#include "wafer_node/kernels/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace waferstream {
namespace HWY_NAMESPACE {

constexpr float kSlope = 0.7978845608028654f;  // sqrt(2 / pi)
constexpr float kCubic = 0.044715f;

// (1 + tanh(y)) / 2 = 1 / (1 + exp(-2 y)) with y = kSlope * (u + kCubic * u^3).
template <class D>
HWY_INLINE hn::Vec<D> Gate(D d, hn::Vec<D> u) {
  const auto cubic = hn::Mul(hn::Mul(hn::Set(d, kCubic), hn::Mul(u, u)), u);
  const auto exponent = hn::Mul(hn::Set(d, -2 * kSlope), hn::Add(u, cubic));
  const auto one = hn::Set(d, 1.0f);
  return hn::Div(one, hn::Add(one, ExpOf(d, exponent)));
}

template <class Element>
HWY_INLINE void Forward(const Element* u, Element* out, size_t n) {
  ForLanes(n, [=](auto d, size_t i) HWY_ATTR {
    const auto x = LoadFloats(d, u + i);
    StoreFloats(d, hn::Mul(x, Gate(d, x)), out + i);
  });
}

// d(u s)/du = s + u s (1 - s) 2 dy/du, with s the gate.
template <class Element>
HWY_INLINE void Backward(const Element* u, const float* d_out, Element* d_u, size_t n) {
  ForLanes(n, [=](auto d, size_t i) HWY_ATTR {
    const auto x = LoadFloats(d, u + i);
    const auto gate = Gate(d, x);
    const auto one = hn::Set(d, 1.0f);
    const auto slope = hn::Mul(hn::Set(d, 2 * kSlope),
                               hn::Add(one, hn::Mul(hn::Set(d, 3 * kCubic), hn::Mul(x, x))));
    const auto rest = hn::Mul(hn::Mul(x, gate), hn::Mul(hn::Sub(one, gate), slope));
    StoreFloats(d, hn::Mul(LoadFloats(d, d_out + i), hn::Add(gate, rest)), d_u + i);
  });
}

void Gelu(Dtype dtype, const void* u, void* out, size_t n) {
  WithElement(dtype, [=](auto element) HWY_ATTR {
    using Element = decltype(element);
    Forward(static_cast<const Element*>(u), static_cast<Element*>(out), n);
  });
}

void GeluGradient(Dtype dtype, const void* u, const float* d_out, void* d_u, size_t n) {
  WithElement(dtype, [=](auto element) HWY_ATTR {
    using Element = decltype(element);
    Backward(static_cast<const Element*>(u), d_out, static_cast<Element*>(d_u), n);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace waferstream
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace waferstream {

HWY_EXPORT(Gelu);
HWY_EXPORT(GeluGradient);

void GeluForward(Dtype dtype, const void* u, void* out, size_t n) {
  HWY_DYNAMIC_DISPATCH(Gelu)(dtype, u, out, n);
}

void GeluBackward(Dtype dtype, const void* u, const float* d_out, void* d_u, size_t n) {
  HWY_DYNAMIC_DISPATCH(GeluGradient)(dtype, u, d_out, d_u, n);
}

}  // namespace waferstream
#endif
