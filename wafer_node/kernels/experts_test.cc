#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "wafer_node/kernels/copies.h"
#include "wafer_node/kernels/reference.h"
#include "wafer_node/kernels/route.h"

namespace waferstream {
namespace {

using reference::Array;
using reference::Typed;

// Where Route() writes.
struct Routed {
  explicit Routed(const RouteOptions& o)
      : weights(o.tokens * o.chosen),
        choices(2 * o.tokens * o.chosen),
        ends(o.experts),
        load(2 * o.experts) {}
  Routing At() { return {weights.data(), choices.data(), ends.data(), load.data()}; }

  std::vector<float> weights;
  std::vector<int32_t> choices, ends;
  std::vector<float> load;
};

Routed RunRoute(const RouteOptions& o, const std::vector<float>& logits) {
  Routed routed(o);
  Route(o, logits.data(), routed.At());
  return routed;
}

Array Softmax(const Array& logits, int64_t row, int64_t n) {
  Array p(logits.begin() + row * n, logits.begin() + (row + 1) * n);
  double sum = 0;
  for (double& x : p) sum += x = std::exp(x);
  for (double& x : p) x /= sum;
  return p;
}

// Which experts, from the most likely on.
std::vector<int> Best(const Array& p, int64_t chosen) {
  std::vector<int> order(p.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return p[a] > p[b]; });
  order.resize(chosen);
  return order;
}

// The weights [tokens, chosen] of experts that were chosen before.
Array Weights(const RouteOptions& o, const Array& logits, const std::vector<int32_t>& choices) {
  Array weights;
  for (int64_t t = 0; t < o.tokens; ++t) {
    const Array p = Softmax(logits, t, o.experts);
    double sum = 0;
    for (int64_t k = 0; k < o.chosen; ++k) sum += p[choices[t * 2 * o.chosen + k]];
    for (int64_t k = 0; k < o.chosen; ++k) {
      weights.push_back(p[choices[t * 2 * o.chosen + k]] / (o.norm_topk ? sum : 1));
    }
  }
  return weights;
}

const RouteOptions kShapes[] = {{.tokens = 1, .experts = 1, .chosen = 1},
                                {.tokens = 13, .experts = 4, .chosen = 2, .norm_topk = true},
                                {.tokens = 40, .experts = 19, .chosen = 5},
                                {.tokens = 9, .experts = 130, .chosen = 8, .norm_topk = true},
                                {.tokens = 5, .experts = 3, .chosen = 3}};

TEST(Route, ChoosesWhatSoftmaxMakesLargest) {
  for (const RouteOptions& o : kShapes) {
    const Typed logits = reference::Random(Dtype::kF32, o.tokens * o.experts, 1, 2);
    const Routed got = RunRoute(o, logits.wide);
    Array sums(o.experts);
    for (int64_t t = 0; t < o.tokens; ++t) {
      const Array p = Softmax(logits.values(), t, o.experts);
      const std::vector<int> best = Best(p, o.chosen);
      EXPECT_TRUE(std::equal(best.begin(), best.end(), &got.choices[t * 2 * o.chosen]));
      for (int64_t e = 0; e < o.experts; ++e) sums[e] += p[e];
    }
    EXPECT_LE(reference::Distance(got.weights, Weights(o, logits.values(), got.choices)), 2e-6);
    const std::vector<float> got_sums(got.load.begin() + o.experts, got.load.end());
    EXPECT_LE(reference::Distance(got_sums, sums), 2e-6);
  }
}

TEST(Route, GivesEveryCopyAPlaceExpertByExpertInTheOrderOfTokens) {
  for (const RouteOptions& o : kShapes) {
    const Routed got = RunRoute(o, reference::Random(Dtype::kF32, o.tokens * o.experts, 2).wide);
    int32_t place = 0;
    for (int64_t e = 0; e < o.experts; ++e) {
      const int32_t first = place;
      for (int64_t t = 0; t < o.tokens; ++t) {
        const int32_t* experts = &got.choices[t * 2 * o.chosen];
        for (int64_t k = 0; k < o.chosen; ++k) {
          if (experts[k] != e) continue;
          EXPECT_EQ(experts[o.chosen + k], place++);
        }
      }
      EXPECT_EQ(got.ends[e], place);
      EXPECT_EQ(got.load[e], place - first);
    }
    EXPECT_EQ(place, o.tokens * o.chosen);
  }
}

TEST(Route, TakesTheFirstOfEqualsAndDifferentOnesOfWhatIsNoNumber) {
  const RouteOptions o{.tokens = 2, .experts = 5, .chosen = 3};
  std::vector<float> logits(10, 0.5f);
  for (int i = 5; i < 10; ++i) logits[i] = std::nanf("");
  const Routed got = RunRoute(o, logits);
  EXPECT_EQ(std::vector<int32_t>(got.choices.begin(), got.choices.begin() + 3),
            (std::vector<int32_t>{0, 1, 2}));
  std::vector<int32_t> second(got.choices.begin() + 6, got.choices.begin() + 9);
  std::sort(second.begin(), second.end());
  EXPECT_EQ(std::unique(second.begin(), second.end()), second.end());
  EXPECT_TRUE(second.front() >= 0 && second.back() < 5);
}

TEST(Route, BackwardMatchesFiniteDifferences) {
  for (const RouteOptions& o : kShapes) {
    const Typed logits = reference::Random(Dtype::kF32, o.tokens * o.experts, 3, 2);
    const Routed routed = RunRoute(o, logits.wide);
    const Typed d_weights = reference::Random(Dtype::kF32, o.tokens * o.chosen, 4);
    const Typed balance = reference::Random(Dtype::kF32, o.experts, 5);
    for (const bool balances : {false, true}) {
      // The weights, and then all probabilities.
      const auto forward = [&](const Array& x) {
        Array out = Weights(o, x, routed.choices);
        for (int64_t t = 0; t < o.tokens; ++t) {
          const Array p = Softmax(x, t, o.experts);
          out.insert(out.end(), p.begin(), p.end());
        }
        return out;
      };
      Array gradients = d_weights.values();
      for (int64_t t = 0; t < o.tokens; ++t) {
        for (int64_t e = 0; e < o.experts; ++e) gradients.push_back(balances ? balance.at(e) : 0);
      }
      const Array want = reference::Differences(logits.values(), gradients, forward);
      std::vector<float> got(o.tokens * o.experts);
      RouteBackward(o, logits.wide.data(), routed.choices.data(), d_weights.wide.data(),
                    balances ? balance.wide.data() : nullptr, got.data());
      EXPECT_LE(reference::Distance(got, want), 1e-5);
    }
  }
}

class CopiesTest : public testing::TestWithParam<Dtype> {
 protected:
  static constexpr int64_t kWidth = 37;

  CopiesTest() : routed_(RunRoute(kShape, reference::Random(Dtype::kF32, 11 * 4, 6).wide)) {}

  CopiesOptions Options() {
    return {.dtype = GetParam(),
            .tokens = kShape.tokens,
            .chosen = kShape.chosen,
            .width = kWidth,
            .places = routed_.choices.data() + kShape.chosen,
            .stride = 2 * kShape.chosen};
  }
  int64_t Place(int64_t t, int64_t k) { return Options().places[t * 2 * kShape.chosen + k]; }

  static constexpr RouteOptions kShape{.tokens = 11, .experts = 4, .chosen = 3};
  static constexpr int64_t kCopies = kShape.tokens * kShape.chosen;
  Routed routed_;
};
INSTANTIATE_TEST_SUITE_P(Dtypes, CopiesTest, testing::Values(Dtype::kF32, Dtype::kBf16));

TEST_P(CopiesTest, CopiesAndAddsUpItsGradients) {
  Typed x = reference::Random(GetParam(), kShape.tokens * kWidth, 7);
  Typed copies = reference::Zeros(GetParam(), kCopies * kWidth);
  CopyTokens(Options(), x.data(), copies.data());
  const Typed d_copies = reference::Random(Dtype::kF32, kCopies * kWidth, 8);
  const Typed before = reference::Random(Dtype::kF32, kShape.tokens * kWidth, 9);
  std::vector<float> set(before.size()), added = before.wide;
  CopyTokensBackward(Options(), d_copies.wide.data(), false, set.data());
  CopyTokensBackward(Options(), d_copies.wide.data(), true, added.data());
  Array want(before.size()), want_added = before.values();
  for (int64_t t = 0; t < kShape.tokens; ++t) {
    for (int64_t k = 0; k < kShape.chosen; ++k) {
      for (int64_t i = 0; i < kWidth; ++i) {
        EXPECT_EQ(copies.at(Place(t, k) * kWidth + i), x.at(t * kWidth + i));
        want[t * kWidth + i] += d_copies.at(Place(t, k) * kWidth + i);
      }
    }
  }
  for (size_t i = 0; i < want.size(); ++i) want_added[i] += want[i];
  EXPECT_LE(reference::Distance(set, want), 1e-6);
  EXPECT_LE(reference::Distance(added, want_added), 1e-6);
}

TEST_P(CopiesTest, CombinesAndTakesApart) {
  Typed copies = reference::Random(GetParam(), kCopies * kWidth, 10);
  const Typed residual = reference::Random(Dtype::kF32, kShape.tokens * kWidth, 11);
  const Typed d_out = reference::Random(Dtype::kF32, kShape.tokens * kWidth, 12);
  std::vector<float> out = residual.wide;
  CombineCopies(Options(), copies.data(), routed_.weights.data(), out.data(), out.data());
  Typed d_copies = reference::Zeros(GetParam(), kCopies * kWidth);
  std::vector<float> d_weights(kCopies);
  CombineCopiesBackward(Options(), copies.data(), routed_.weights.data(), d_out.wide.data(),
                        d_copies.data(), d_weights.data());
  Array want = residual.values(), want_copies(kCopies * kWidth), want_weights(kCopies);
  for (int64_t t = 0; t < kShape.tokens; ++t) {
    for (int64_t k = 0; k < kShape.chosen; ++k) {
      const double weight = routed_.weights[t * kShape.chosen + k];
      for (int64_t i = 0; i < kWidth; ++i) {
        const int64_t at = Place(t, k) * kWidth + i;
        want[t * kWidth + i] += weight * copies.at(at);
        want_copies[at] = weight * d_out.at(t * kWidth + i);
        want_weights[t * kShape.chosen + k] += d_out.at(t * kWidth + i) * copies.at(at);
      }
    }
  }
  EXPECT_LE(reference::Distance(out, want), 1e-6);
  EXPECT_LE(reference::Distance(d_copies, want_copies), reference::Tolerance(GetParam()));
  EXPECT_LE(reference::Distance(d_weights, want_weights), 2e-6);
}

}  // namespace
}  // namespace waferstream
