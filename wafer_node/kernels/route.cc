#include "wafer_node/kernels/route.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/status.h"
#include "plan/job_keys.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "wafer_node/kernels/route.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"
#include "wafer_node/kernels/exp-inl.h"
#include "wafer_node/kernels/sum-inl.h"

HWY_BEFORE_NAMESPACE();
namespace waferstream {
namespace HWY_NAMESPACE {

// Softmax of one row, logits [n].
void Probabilities(const float* logits, float* out, size_t n) {
  const float most = MaxLanes(logits, n, logits[0]);
  ForLanes(n, [=](auto d, size_t i) HWY_ATTR {
    StoreFloats(d, ExpOf(d, hn::Sub(hn::LoadU(d, logits + i), hn::Set(d, most))), out + i);
  });
  const float sum = SumLanes(n, [=](auto d, size_t i) HWY_ATTR { return hn::LoadU(d, out + i); });
  ForLanes(n, [=](auto d, size_t i) HWY_ATTR {
    StoreFloats(d, hn::Div(hn::LoadU(d, out + i), hn::Set(d, sum)), out + i);
  });
}

// With p the softmax of a row: d_logits = p * (d_p - sum(p * d_p)). `d` is d_p, and then d_logits.
void SoftmaxGradient(const float* p, float* d_p, size_t n) {
  const float mean = SumLanes(n, [=](auto d, size_t i) HWY_ATTR {
    return hn::Mul(hn::LoadU(d, p + i), hn::LoadU(d, d_p + i));
  });
  ForLanes(n, [=](auto d, size_t i) HWY_ATTR {
    const auto centred = hn::Sub(hn::LoadU(d, d_p + i), hn::Set(d, mean));
    StoreFloats(d, hn::Mul(hn::LoadU(d, p + i), centred), d_p + i);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace waferstream
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace waferstream {
namespace {

HWY_EXPORT(Probabilities);
HWY_EXPORT(SoftmaxGradient);

using Row = std::array<float, kExpertsMax>;

// The experts with the largest probabilities. Any row gives `chosen` different ones, also one that
// is not of numbers.
void Choose(const RouteOptions& o, const float* p, int32_t* experts) {
  std::array<bool, kExpertsMax> taken;
  std::fill_n(taken.begin(), o.experts, false);
  for (int64_t k = 0; k < o.chosen; ++k) {
    int best = -1;
    for (int e = 0; e < o.experts; ++e) {
      if (!taken[e] && (best < 0 || p[e] > p[best])) best = e;
    }
    taken[best] = true;
    experts[k] = best;
  }
}

float WeightSum(const RouteOptions& o, const float* p, const int32_t* experts) {
  if (!o.norm_topk) return 1;
  float sum = 0;
  for (int64_t k = 0; k < o.chosen; ++k) sum += p[experts[k]];
  return sum;
}

// The copies' places, once all experts are chosen and their copies counted in `ends`.
void Place(const RouteOptions& o, const Routing& routing) {
  std::array<int32_t, kExpertsMax> next;
  int32_t end = 0;
  for (int64_t e = 0; e < o.experts; ++e) {
    next[e] = end;
    end += routing.ends[e];
    routing.load[e] = static_cast<float>(routing.ends[e]);
    routing.ends[e] = end;
  }
  for (int64_t t = 0; t < o.tokens; ++t) {
    int32_t* experts = routing.choices + t * 2 * o.chosen;
    for (int64_t k = 0; k < o.chosen; ++k) experts[o.chosen + k] = next[experts[k]]++;
  }
}

}  // namespace

void Route(const RouteOptions& o, const float* logits, const Routing& routing) {
  WS_CHECK(o.experts <= kExpertsMax && o.chosen <= o.experts);
  WS_CHECK(o.tokens * o.chosen <= std::numeric_limits<int32_t>::max());
  float* const sums = routing.load + o.experts;
  std::fill_n(sums, o.experts, 0.0f);
  std::fill_n(routing.ends, o.experts, 0);
  Row p;
  for (int64_t t = 0; t < o.tokens; ++t) {
    HWY_DYNAMIC_DISPATCH(Probabilities)(logits + t * o.experts, p.data(), o.experts);
    int32_t* experts = routing.choices + t * 2 * o.chosen;
    Choose(o, p.data(), experts);
    const float sum = WeightSum(o, p.data(), experts);
    for (int64_t k = 0; k < o.chosen; ++k) {
      routing.weights[t * o.chosen + k] = p[experts[k]] / sum;
      ++routing.ends[experts[k]];
    }
    for (int64_t e = 0; e < o.experts; ++e) sums[e] += p[e];
  }
  Place(o, routing);
}

void RouteBackward(const RouteOptions& o, const float* logits, const int32_t* choices,
                   const float* d_weights, const float* balance, float* d_logits) {
  Row p;
  for (int64_t t = 0; t < o.tokens; ++t) {
    HWY_DYNAMIC_DISPATCH(Probabilities)(logits + t * o.experts, p.data(), o.experts);
    const int32_t* experts = choices + t * 2 * o.chosen;
    const float* d_w = d_weights + t * o.chosen;
    float* d_p = d_logits + t * o.experts;
    balance == nullptr ? void(std::fill_n(d_p, o.experts, 0.0f))
                       : void(std::copy_n(balance, o.experts, d_p));
    // With weights p / sum: d_p = (d_w - sum of weights * d_w) / sum.
    const float sum = WeightSum(o, p.data(), experts);
    float mean = 0;
    for (int64_t k = 0; o.norm_topk && k < o.chosen; ++k) mean += p[experts[k]] / sum * d_w[k];
    for (int64_t k = 0; k < o.chosen; ++k) d_p[experts[k]] += (d_w[k] - mean) / sum;
    HWY_DYNAMIC_DISPATCH(SoftmaxGradient)(p.data(), d_p, o.experts);
  }
}

}  // namespace waferstream
#endif
