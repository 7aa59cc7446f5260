#include "wafer_node/kernels/rotary.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "wafer_node/kernels/rotary.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "base/simd-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace waferstream {
namespace HWY_NAMESPACE {

template <class Element>
HWY_INLINE void TurnHalves(const RotaryOptions& options, const float* cosine, const float* sine,
                           Element* head) {
  const int64_t half = options.dims / 2;
  const float sign = options.inverse ? -1.0f : 1.0f;
  ForLanes(half, [=](auto d, size_t i) HWY_ATTR {
    const auto a = LoadFloats(d, head + i), b = LoadFloats(d, head + half + i);
    const auto c = hn::LoadU(d, cosine + i);
    const auto s = hn::Mul(hn::LoadU(d, sine + i), hn::Set(d, sign));
    StoreFloats(d, hn::Sub(hn::Mul(a, c), hn::Mul(b, s)), head + i);
    StoreFloats(d, hn::Add(hn::Mul(b, c), hn::Mul(a, s)), head + half + i);
  });
}

template <class Element>
HWY_INLINE void TurnNeighbours(const RotaryOptions& options, const float* cosine, const float* sine,
                               Element* head) {
  const hn::CappedTag<float, 1> d;
  for (int64_t i = 0; i < options.dims / 2; ++i) {
    const auto a = LoadFloats(d, head + 2 * i), b = LoadFloats(d, head + 2 * i + 1);
    const auto c = hn::Set(d, cosine[i]), s = hn::Set(d, options.inverse ? -sine[i] : sine[i]);
    StoreFloats(d, hn::Sub(hn::Mul(a, c), hn::Mul(b, s)), head + 2 * i);
    StoreFloats(d, hn::Add(hn::Mul(b, c), hn::Mul(a, s)), head + 2 * i + 1);
  }
}

void Turn(const RotaryOptions& options, const float* cosine, const float* sine, void* row) {
  WithElement(options.dtype, [&](auto element) HWY_ATTR {
    auto* head = static_cast<decltype(element)*>(row);
    for (int64_t h = 0; h < options.heads; ++h, head += options.head_stride) {
      options.interleaved ? TurnNeighbours(options, cosine, sine, head)
                          : TurnHalves(options, cosine, sine, head);
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace waferstream
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace waferstream {

HWY_EXPORT(Turn);

void Rotate(const RotaryOptions& options, const float* cosine, const float* sine, void* row) {
  HWY_DYNAMIC_DISPATCH(Turn)(options, cosine, sine, row);
}

}  // namespace waferstream
#endif
