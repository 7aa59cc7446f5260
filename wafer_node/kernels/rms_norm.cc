#include "wafer_node/kernels/rms_norm.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "wafer_node/kernels/rms_norm.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"
#include "wafer_node/kernels/sum-inl.h"

HWY_BEFORE_NAMESPACE();
namespace waferstream {
namespace HWY_NAMESPACE {

template <class In>
HWY_INLINE float RstdOf(const RmsNormOptions& options, const In* x) {
  const size_t n = options.width;
  const float square = SumLanes(n, [=](auto d, size_t i) HWY_ATTR {
    const auto v = LoadFloats(d, x + i);
    return hn::Mul(v, v);
  });
  return 1.0f / std::sqrt(square / static_cast<float>(n) + options.epsilon);
}

template <class In, class Gain, class Out>
HWY_INLINE void ForwardGroup(const RmsNormOptions& options, const In* x, const Gain* gain,
                             const float* residual, Out* out) {
  const float rstd = RstdOf(options, x);
  ForLanes(options.width, [=](auto d, size_t i) HWY_ATTR {
    const auto y = hn::Mul(LoadFloats(d, x + i), hn::Set(d, rstd));
    auto value = hn::Mul(y, LoadFloats(d, gain + i));
    if (residual != nullptr) value = hn::Add(hn::LoadU(d, residual + i), value);
    StoreFloats(d, value, out + i);
  });
}

// With g = d_out * gain and y = x * rstd: dx = rstd * (g - y * mean(g * y)).
template <class In, class Gain, class DOut, class DX>
HWY_INLINE void BackwardGroup(const RmsNormOptions& options, const In* x, const Gain* gain,
                              const DOut* d_out, bool accumulate, DX* d_x, float* d_gain) {
  const size_t n = options.width;
  const float rstd = RstdOf(options, x);
  const float mean = SumLanes(n,
                              [=](auto d, size_t i) HWY_ATTR {
                                const auto g =
                                    hn::Mul(LoadFloats(d, d_out + i), LoadFloats(d, gain + i));
                                return hn::Mul(g, hn::Mul(LoadFloats(d, x + i), hn::Set(d, rstd)));
                              }) /
                     static_cast<float>(n);
  ForLanes(n, [=](auto d, size_t i) HWY_ATTR {
    const auto y = hn::Mul(LoadFloats(d, x + i), hn::Set(d, rstd));
    const auto d_y = LoadFloats(d, d_out + i);
    const auto g = hn::Mul(d_y, LoadFloats(d, gain + i));
    auto value = hn::Mul(hn::Set(d, rstd), hn::Sub(g, hn::Mul(y, hn::Set(d, mean))));
    if (accumulate) value = hn::Add(LoadFloats(d, d_x + i), value);
    hn::StoreU(hn::Add(hn::LoadU(d, d_gain + i), hn::Mul(d_y, y)), d, d_gain + i);
    StoreFloats(d, value, d_x + i);
  });
}

void RmsForward(const RmsNormOptions& options, const NormIn& x, const void* gain,
                const float* residual, const NormOut& out) {
  const int64_t groups = options.rows * options.groups;
  WithElement(x.dtype, [&](auto in) HWY_ATTR {
    WithElement(options.gain, [&](auto parameter) HWY_ATTR {
      WithElement(out.dtype, [&](auto element) HWY_ATTR {
        for (int64_t at = 0; at < groups * options.width; at += options.width) {
          ForwardGroup(options, static_cast<const decltype(in)*>(x.data) + at,
                       static_cast<const decltype(parameter)*>(gain),
                       residual == nullptr ? nullptr : residual + at,
                       static_cast<decltype(element)*>(out.data) + at);
        }
      });
    });
  });
}

void RmsBackward(const RmsNormOptions& options, const NormIn& x, const void* gain,
                 const NormIn& d_out, bool accumulate, const NormOut& d_x, float* d_gain) {
  const int64_t groups = options.rows * options.groups;
  WithElement(x.dtype, [&](auto in) HWY_ATTR {
    WithElement(options.gain, [&](auto parameter) HWY_ATTR {
      WithElement(d_out.dtype, [&](auto of_out) HWY_ATTR {
        WithElement(d_x.dtype, [&](auto of_in) HWY_ATTR {
          for (int64_t at = 0; at < groups * options.width; at += options.width) {
            BackwardGroup(options, static_cast<const decltype(in)*>(x.data) + at,
                          static_cast<const decltype(parameter)*>(gain),
                          static_cast<const decltype(of_out)*>(d_out.data) + at, accumulate,
                          static_cast<decltype(of_in)*>(d_x.data) + at, d_gain);
          }
        });
      });
    });
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace waferstream
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace waferstream {

HWY_EXPORT(RmsForward);
HWY_EXPORT(RmsBackward);

void RmsNormForward(const RmsNormOptions& options, const NormIn& x, const void* gain,
                    const float* residual, const NormOut& out) {
  HWY_DYNAMIC_DISPATCH(RmsForward)(options, x, gain, residual, out);
}

void RmsNormBackward(const RmsNormOptions& options, const NormIn& x, const void* gain,
                     const NormIn& d_out, bool accumulate, const NormOut& d_x, float* d_gain) {
  HWY_DYNAMIC_DISPATCH(RmsBackward)(options, x, gain, d_out, accumulate, d_x, d_gain);
}

}  // namespace waferstream
#endif
