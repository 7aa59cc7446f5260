#include "wafer_node/kernels/softmax.h"

#include <algorithm>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "wafer_node/kernels/softmax.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"
#include "wafer_node/kernels/exp-inl.h"
#include "wafer_node/kernels/sum-inl.h"

HWY_BEFORE_NAMESPACE();
namespace waferstream {
namespace HWY_NAMESPACE {

// Columns of a row: the keys that its query sees.
struct Seen {
  int64_t first;
  int64_t count;
};
HWY_INLINE Seen SeenBy(const ScoreBlock& block, int64_t row) {
  const int64_t query = block.first_query + row;
  const int64_t first = block.window == 0 ? 0 : std::max<int64_t>(0, query - block.window + 1);
  return {first - block.first_key, query + 1 - first};
}

// Turns scores into the probabilities that SoftmaxRow made of them.
HWY_INLINE void Probabilities(float* scores, float scale, float lse, int64_t seen) {
  ForLanes(seen, [=](auto d, size_t i) HWY_ATTR {
    const auto score = hn::Mul(hn::LoadU(d, scores + i), hn::Set(d, scale));
    hn::StoreU(ExpOf(d, hn::Sub(score, hn::Set(d, lse))), d, scores + i);
  });
}

// Softmax of the scaled scores [0, seen), which it overwrites; zero up to `keys`. Returns their
// log-sum-exp.
template <class Element>
HWY_INLINE float SoftmaxRow(float* scores, float scale, int64_t seen, int64_t keys,
                            Element* probabilities) {
  const float max = scale * MaxLanes(scores, seen, std::numeric_limits<float>::lowest());
  const float sum = SumLanes(seen, [=](auto d, size_t i) HWY_ATTR {
    const auto score = hn::Mul(hn::LoadU(d, scores + i), hn::Set(d, scale));
    const auto e = ExpOf(d, hn::Sub(score, hn::Set(d, max)));
    hn::StoreU(e, d, scores + i);
    return e;
  });
  const float share = 1.0f / sum;
  ForLanes(seen, [=](auto d, size_t i) HWY_ATTR {
    StoreFloats(d, hn::Mul(hn::LoadU(d, scores + i), hn::Set(d, share)), probabilities + i);
  });
  std::fill(probabilities + seen, probabilities + keys, Element{});
  if (!(sum < std::numeric_limits<float>::infinity())) return sum;
  const hn::CappedTag<float, 1> d;
  return max + hn::GetLane(hn::Log(d, hn::Set(d, sum)));
}

// With p the probabilities and g their gradient: d_score = scale * p * (g - sum(p * g)). p stays
// fp32 here: rounded ones do not add up to 1, and what is missing would not cancel.
template <class Element>
HWY_INLINE void ScoreGradients(const float* p, const float* g, float scale, int64_t seen,
                               int64_t keys, Element* probabilities, Element* d_scores) {
  const float mean = SumLanes(seen, [=](auto d, size_t i) HWY_ATTR {
    return hn::Mul(hn::LoadU(d, p + i), hn::LoadU(d, g + i));
  });
  ForLanes(seen, [=](auto d, size_t i) HWY_ATTR {
    const auto probability = hn::LoadU(d, p + i);
    const auto centred = hn::Sub(hn::LoadU(d, g + i), hn::Set(d, mean));
    const auto scaled = hn::Mul(probability, hn::Set(d, scale));
    StoreFloats(d, probability, probabilities + i);
    StoreFloats(d, hn::Mul(scaled, centred), d_scores + i);
  });
  std::fill(probabilities + seen, probabilities + keys, Element{});
  std::fill(d_scores + seen, d_scores + keys, Element{});
}

void Softmax(const ScoreBlock& block, Dtype dtype, void* probabilities, float* lse) {
  WithElement(dtype, [=](auto element) HWY_ATTR {
    auto* p = static_cast<decltype(element)*>(probabilities);
    for (int64_t i = 0; i < block.queries; ++i) {
      const Seen seen = SeenBy(block, i);
      const int64_t at = i * block.stride + seen.first;
      std::fill(p + i * block.stride, p + at, decltype(element){});
      lse[i] =
          SoftmaxRow(block.scores + at, block.scale, seen.count, block.keys() - seen.first, p + at);
    }
  });
}

void SoftmaxBackward(const ScoreBlock& block, const float* lse, const float* d_probabilities,
                     Dtype dtype, void* probabilities, void* d_scores) {
  WithElement(dtype, [=](auto element) HWY_ATTR {
    auto* p = static_cast<decltype(element)*>(probabilities);
    auto* d_s = static_cast<decltype(element)*>(d_scores);
    for (int64_t i = 0; i < block.queries; ++i) {
      const Seen seen = SeenBy(block, i);
      const int64_t at = i * block.stride + seen.first;
      std::fill(p + i * block.stride, p + at, decltype(element){});
      std::fill(d_s + i * block.stride, d_s + at, decltype(element){});
      float* scores = block.scores + at;
      Probabilities(scores, block.scale, lse[i], seen.count);
      ScoreGradients(scores, d_probabilities + at, block.scale, seen.count,
                     block.keys() - seen.first, p + at, d_s + at);
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace waferstream
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace waferstream {

HWY_EXPORT(Softmax);
HWY_EXPORT(SoftmaxBackward);

void CausalSoftmax(const ScoreBlock& block, Dtype dtype, void* probabilities, float* lse) {
  HWY_DYNAMIC_DISPATCH(Softmax)(block, dtype, probabilities, lse);
}

void CausalSoftmaxBackward(const ScoreBlock& block, const float* lse, const float* d_probabilities,
                           Dtype dtype, void* probabilities, void* d_scores) {
  HWY_DYNAMIC_DISPATCH(SoftmaxBackward)
  (block, lse, d_probabilities, dtype, probabilities, d_scores);
}

}  // namespace waferstream
#endif
