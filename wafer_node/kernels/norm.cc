#include "wafer_node/kernels/norm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "wafer_node/kernels/norm.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"
#include "wafer_node/kernels/sum-inl.h"

HWY_BEFORE_NAMESPACE();
namespace waferstream {
namespace HWY_NAMESPACE {

struct Moments {
  float mean;
  float rstd;
};

HWY_INLINE Moments MomentsOf(const LayerNormOptions& options, const float* x) {
  const size_t n = options.hidden;
  const float scale = 1.0f / static_cast<float>(n);
  const float mean =
      scale * SumLanes(n, [=](auto d, size_t i) HWY_ATTR { return hn::LoadU(d, x + i); });
  const float variance = scale * SumLanes(n, [=](auto d, size_t i) HWY_ATTR {
                           const auto centred = hn::Sub(hn::LoadU(d, x + i), hn::Set(d, mean));
                           return hn::Mul(centred, centred);
                         });
  return {mean, 1.0f / std::sqrt(variance + options.epsilon)};
}

template <class D>
HWY_INLINE hn::Vec<D> Normalised(D d, const float* x, const Moments& m) {
  return hn::Mul(hn::Sub(hn::LoadU(d, x), hn::Set(d, m.mean)), hn::Set(d, m.rstd));
}

template <class Parameter, class Out>
HWY_INLINE void Forward(const LayerNormOptions& options, const float* x, const Parameter* gamma,
                        const Parameter* beta, Out* out) {
  for (int64_t row = 0; row < options.rows; ++row, x += options.hidden, out += options.hidden) {
    const Moments m = MomentsOf(options, x);
    ForLanes(options.hidden, [=](auto d, size_t i) HWY_ATTR {
      const auto scaled = hn::Mul(Normalised(d, x + i, m), LoadFloats(d, gamma + i));
      StoreFloats(d, hn::Add(scaled, LoadFloats(d, beta + i)), out + i);
    });
  }
}

// With g = d_out * gamma and y = normalised x: dx = rstd * (g - mean(g) - y * mean(g * y)).
template <class Parameter>
HWY_INLINE void BackwardRow(const LayerNormOptions& options, const float* x, const Parameter* gamma,
                            const float* d_out, float* delta, float* d_gamma, float* d_beta) {
  const size_t n = options.hidden;
  const Moments m = MomentsOf(options, x);
  const float scale = 1.0f / static_cast<float>(n);
  const auto g = [=](auto d, size_t i) HWY_ATTR {
    return hn::Mul(hn::LoadU(d, d_out + i), LoadFloats(d, gamma + i));
  };
  const float mean_g = scale * SumLanes(n, g);
  const float mean_gy = scale * SumLanes(n, [=](auto d, size_t i) HWY_ATTR {
                          return hn::Mul(g(d, i), Normalised(d, x + i, m));
                        });
  ForLanes(n, [=](auto d, size_t i) HWY_ATTR {
    const auto y = Normalised(d, x + i, m);
    const auto d_y = hn::LoadU(d, d_out + i);
    const auto centred =
        hn::Sub(hn::Sub(g(d, i), hn::Set(d, mean_g)), hn::Mul(y, hn::Set(d, mean_gy)));
    const auto d_x = hn::Mul(centred, hn::Set(d, m.rstd));
    hn::StoreU(hn::Add(hn::LoadU(d, delta + i), d_x), d, delta + i);
    hn::StoreU(hn::Add(hn::LoadU(d, d_gamma + i), hn::Mul(d_y, y)), d, d_gamma + i);
    hn::StoreU(hn::Add(hn::LoadU(d, d_beta + i), d_y), d, d_beta + i);
  });
}

void NormForward(const LayerNormOptions& options, const float* x, const void* gamma,
                 const void* beta, Dtype out_dtype, void* out) {
  WithElement(options.parameters, [&](auto parameter) HWY_ATTR {
    WithElement(out_dtype, [&](auto element) HWY_ATTR {
      using Parameter = decltype(parameter);
      Forward(options, x, static_cast<const Parameter*>(gamma), static_cast<const Parameter*>(beta),
              static_cast<decltype(element)*>(out));
    });
  });
}

void NormBackward(const LayerNormOptions& options, const float* x, const void* gamma,
                  const float* d_out, float* delta, float* d_gamma, float* d_beta) {
  WithElement(options.parameters, [&](auto parameter) HWY_ATTR {
    for (int64_t row = 0; row < options.rows; ++row) {
      const int64_t at = row * options.hidden;
      BackwardRow(options, x + at, static_cast<const decltype(parameter)*>(gamma), d_out + at,
                  delta + at, d_gamma, d_beta);
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace waferstream
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace waferstream {

HWY_EXPORT(NormForward);
HWY_EXPORT(NormBackward);

void LayerNormForward(const LayerNormOptions& options, const float* x, const void* gamma,
                      const void* beta, Dtype out_dtype, void* out) {
  HWY_DYNAMIC_DISPATCH(NormForward)(options, x, gamma, beta, out_dtype, out);
}

void LayerNormBackward(const LayerNormOptions& options, const float* x, const void* gamma,
                       const float* d_out, float* delta, float* d_gamma, float* d_beta) {
  HWY_DYNAMIC_DISPATCH(NormBackward)(options, x, gamma, d_out, delta, d_gamma, d_beta);
}

}  // namespace waferstream
#endif
