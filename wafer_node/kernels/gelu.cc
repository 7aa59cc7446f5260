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

// Phi(u), to 1e-7: Abramowitz and Stegun, 7.1.26. `tail` is exp(-u^2 / 2).
template <class D>
HWY_INLINE hn::Vec<D> Phi(D d, hn::Vec<D> u, hn::Vec<D> tail) {
  const auto z = hn::Mul(hn::Abs(u), hn::Set(d, 0.70710678f));
  const auto one = hn::Set(d, 1.0f);
  const auto t = hn::Div(one, hn::Add(one, hn::Mul(hn::Set(d, 0.3275911f), z)));
  auto sum = hn::Set(d, 1.061405429f);
  for (const float coefficient : {-1.453152027f, 1.421413741f, -0.284496736f, 0.254829592f}) {
    sum = hn::Add(hn::Mul(sum, t), hn::Set(d, coefficient));
  }
  const auto above = hn::Mul(hn::Mul(hn::Set(d, 0.5f), hn::Mul(sum, t)), tail);
  return hn::IfThenElse(hn::Lt(u, hn::Zero(d)), above, hn::Sub(one, above));
}

template <class D>
HWY_INLINE hn::Vec<D> Tail(D d, hn::Vec<D> u) {
  return ExpOf(d, hn::Mul(hn::Set(d, -0.5f), hn::Mul(u, u)));
}

template <class Element>
HWY_INLINE void ExactForward(const Element* u, Element* out, size_t n) {
  ForLanes(n, [=](auto d, size_t i) HWY_ATTR {
    const auto x = LoadFloats(d, u + i);
    StoreFloats(d, hn::Mul(x, Phi(d, x, Tail(d, x))), out + i);
  });
}

// d(u Phi)/du = Phi + u exp(-u^2 / 2) / sqrt(2 pi).
template <class Element>
HWY_INLINE void ExactBackward(const Element* u, const float* d_out, Element* d_u, size_t n) {
  ForLanes(n, [=](auto d, size_t i) HWY_ATTR {
    const auto x = LoadFloats(d, u + i), tail = Tail(d, x);
    const auto density = hn::Mul(hn::Mul(x, tail), hn::Set(d, 0.39894228f));
    const auto slope = hn::Add(Phi(d, x, tail), density);
    StoreFloats(d, hn::Mul(LoadFloats(d, d_out + i), slope), d_u + i);
  });
}

void Gelu(GeluBy by, Dtype dtype, const void* u, void* out, size_t n) {
  WithElement(dtype, [=](auto element) HWY_ATTR {
    const auto* from = static_cast<const decltype(element)*>(u);
    auto* to = static_cast<decltype(element)*>(out);
    by == GeluBy::kTanh ? Forward(from, to, n) : ExactForward(from, to, n);
  });
}

void GeluGradient(GeluBy by, Dtype dtype, const void* u, const float* d_out, void* d_u, size_t n) {
  WithElement(dtype, [=](auto element) HWY_ATTR {
    const auto* from = static_cast<const decltype(element)*>(u);
    auto* to = static_cast<decltype(element)*>(d_u);
    by == GeluBy::kTanh ? Backward(from, d_out, to, n) : ExactBackward(from, d_out, to, n);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace waferstream
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace waferstream {

HWY_EXPORT(Gelu);
HWY_EXPORT(GeluGradient);

void GeluForward(GeluBy by, Dtype dtype, const void* u, void* out, size_t n) {
  HWY_DYNAMIC_DISPATCH(Gelu)(by, dtype, u, out, n);
}

void GeluBackward(GeluBy by, Dtype dtype, const void* u, const float* d_out, void* d_u, size_t n) {
  HWY_DYNAMIC_DISPATCH(GeluGradient)(by, dtype, u, d_out, d_u, n);
}

}  // namespace waferstream
#endif
