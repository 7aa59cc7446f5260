#include "wafer_node/kernels/copies.h"

#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "wafer_node/kernels/copies.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"
#include "wafer_node/kernels/sum-inl.h"

HWY_BEFORE_NAMESPACE();
namespace waferstream {
namespace HWY_NAMESPACE {

void SumOfCopies(const CopiesOptions& o, const float* d_copies, bool accumulate, float* d_x) {
  for (int64_t t = 0; t < o.tokens; ++t) {
    const int32_t* places = o.places + t * o.stride;
    float* to = d_x + t * o.width;
    ForLanes(o.width, [=, &o](auto d, size_t i) HWY_ATTR {
      auto sum = hn::LoadU(d, d_copies + places[0] * o.width + i);
      for (int64_t k = 1; k < o.chosen; ++k) {
        sum = hn::Add(sum, hn::LoadU(d, d_copies + places[k] * o.width + i));
      }
      if (accumulate) sum = hn::Add(hn::LoadU(d, to + i), sum);
      hn::StoreU(sum, d, to + i);
    });
  }
}

void Combine(const CopiesOptions& o, const void* copies, const float* weights,
             const float* residual, float* out) {
  WithElement(o.dtype, [=, &o](auto element) HWY_ATTR {
    const auto* rows = static_cast<const decltype(element)*>(copies);
    for (int64_t t = 0; t < o.tokens; ++t) {
      const int32_t* places = o.places + t * o.stride;
      const float* weight = weights + t * o.chosen;
      ForLanes(o.width, [=, &o](auto d, size_t i) HWY_ATTR {
        auto sum = hn::Zero(d);
        for (int64_t k = 0; k < o.chosen; ++k) {
          const auto copy = LoadFloats(d, rows + places[k] * o.width + i);
          sum = hn::Add(sum, hn::Mul(hn::Set(d, weight[k]), copy));
        }
        const size_t at = t * o.width + i;
        hn::StoreU(hn::Add(hn::LoadU(d, residual + at), sum), d, out + at);
      });
    }
  });
}

void CombineGradient(const CopiesOptions& o, const void* copies, const float* weights,
                     const float* d_out, void* d_copies, float* d_weights) {
  WithElement(o.dtype, [=, &o](auto element) HWY_ATTR {
    using Element = decltype(element);
    for (int64_t t = 0; t < o.tokens; ++t) {
      const float* d_row = d_out + t * o.width;
      for (int64_t k = 0; k < o.chosen; ++k) {
        const int64_t at = o.places[t * o.stride + k] * o.width;
        const auto* copy = static_cast<const Element*>(copies) + at;
        auto* to = static_cast<Element*>(d_copies) + at;
        const float weight = weights[t * o.chosen + k];
        ForLanes(o.width, [=](auto d, size_t i) HWY_ATTR {
          StoreFloats(d, hn::Mul(hn::Set(d, weight), hn::LoadU(d, d_row + i)), to + i);
        });
        d_weights[t * o.chosen + k] = SumLanes(o.width, [=](auto d, size_t i) HWY_ATTR {
          return hn::Mul(hn::LoadU(d, d_row + i), LoadFloats(d, copy + i));
        });
      }
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace waferstream
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace waferstream {

HWY_EXPORT(SumOfCopies);
HWY_EXPORT(Combine);
HWY_EXPORT(CombineGradient);

void CopyTokens(const CopiesOptions& o, const void* x, void* copies) {
  const size_t bytes = o.width * BytesOf(o.dtype);
  for (int64_t t = 0; t < o.tokens; ++t) {
    const std::byte* from = static_cast<const std::byte*>(x) + t * bytes;
    for (int64_t k = 0; k < o.chosen; ++k) {
      const int64_t place = o.places[t * o.stride + k];
      std::memcpy(static_cast<std::byte*>(copies) + place * bytes, from, bytes);
    }
  }
}

void CopyTokensBackward(const CopiesOptions& o, const float* d_copies, bool accumulate,
                        float* d_x) {
  HWY_DYNAMIC_DISPATCH(SumOfCopies)(o, d_copies, accumulate, d_x);
}

void CombineCopies(const CopiesOptions& o, const void* copies, const float* weights,
                   const float* residual, float* out) {
  HWY_DYNAMIC_DISPATCH(Combine)(o, copies, weights, residual, out);
}

void CombineCopiesBackward(const CopiesOptions& o, const void* copies, const float* weights,
                           const float* d_out, void* d_copies, float* d_weights) {
  HWY_DYNAMIC_DISPATCH(CombineGradient)(o, copies, weights, d_out, d_copies, d_weights);
}

}  // namespace waferstream
#endif
