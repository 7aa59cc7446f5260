#include "wafer_node/kernels/loss.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "wafer_node/kernels/gemm.h"
#include "wafer_node/kernels/reference.h"

namespace waferstream {
namespace {

using reference::Array;
using reference::Typed;

constexpr int64_t kRows = 5;

struct Problem {
  int64_t vocabulary;
  Typed logits;
  std::vector<int32_t> targets;

  explicit Problem(int64_t v)
      : vocabulary(v), logits(reference::Random(Dtype::kF32, kRows * v, 1, 4)), targets(kRows) {
    for (int64_t r = 0; r < kRows; ++r) targets[r] = (r * 197 + v - 1) % v;
  }

  LogitsBlock Block(int64_t first, int64_t ids) const {
    return {.rows = kRows,
            .ids = ids,
            .first_id = first,
            .logits = logits.wide.data() + first,
            .stride = vocabulary};
  }
  double Lse(int64_t row) const {
    double sum = 0;
    for (int64_t j = 0; j < vocabulary; ++j) sum += std::exp(logits.at(row * vocabulary + j));
    return std::log(sum);
  }
};

struct Forward {
  std::vector<float> lse = std::vector<float>(kRows), loss = std::vector<float>(kRows);
};

Forward Pass(const Problem& p, int64_t tile, const LossTerms& terms = {}) {
  std::vector<float> floats(kRows * 4);
  const RowLosses state{floats.data(), terms.smoothing > 0 ? 4 : 3};
  Forward f;
  StartLoss(kRows, state);
  for (int64_t at = 0; at < p.vocabulary; at += tile) {
    UpdateLoss(p.Block(at, std::min(tile, p.vocabulary - at)), p.targets.data(), state);
  }
  FinishLoss(kRows, p.targets.data(), state, terms, f.lse.data(), f.loss.data());
  return f;
}

TEST(LossTest, ForwardMatchesTheReferenceForAnyTiling) {
  for (int64_t vocabulary : {1, 2, 17, 509}) {
    for (int64_t tile : {1, 16, 100, 509}) {
      const Problem p(vocabulary);
      const Forward f = Pass(p, tile);
      for (int64_t r = 0; r < kRows; ++r) {
        const double target = p.logits.at(r * vocabulary + p.targets[r]);
        EXPECT_NEAR(f.lse[r], p.Lse(r), 2e-5);
        EXPECT_NEAR(f.loss[r], p.Lse(r) - target, 2e-5);
      }
      EXPECT_EQ(Pass(p, tile).loss, f.loss);
    }
  }
}

// The gradient of sum(loss) is softmax - onehot; the reference is its finite difference.
TEST(LossTest, BackwardMatchesFiniteDifferences) {
  constexpr float kScale = 0.25f;
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16}) {
    for (int64_t tile : {1, 10, 33}) {
      const Problem p(33);
      const Forward f = Pass(p, tile);
      const auto losses = [&](const Array& logits) {
        Array loss(kRows);
        for (int64_t r = 0; r < kRows; ++r) {
          double sum = 0;
          for (int64_t j = 0; j < 33; ++j) sum += std::exp(logits[r * 33 + j]);
          loss[r] = std::log(sum) - logits[r * 33 + p.targets[r]];
        }
        return loss;
      };
      Typed d_logits = reference::Zeros(dtype, kRows * 33);
      for (int64_t at = 0; at < 33; at += tile) {
        auto* out = static_cast<std::byte*>(d_logits.data()) + at * BytesOf(dtype);
        LossBackward(p.Block(at, std::min<int64_t>(tile, 33 - at)), p.targets.data(), f.lse.data(),
                     {}, kScale, dtype, out, 33);
      }
      const Array want = reference::Differences(p.logits.values(), Array(kRows, kScale), losses);
      EXPECT_LE(reference::Distance(d_logits, want), 2 * reference::Tolerance(dtype));
    }
  }
}

TEST(LossTest, SmoothedAndWithAZLossItIsWhatTheFormulasSay) {
  constexpr float kScale = 0.5f;
  for (const LossTerms& terms :
       {LossTerms{0.1, 0, 33}, LossTerms{0, 1e-2, 33}, LossTerms{0.3, 0.1, 33}}) {
    const Problem p(33);
    const auto losses = [&](const Array& logits) {
      Array loss(kRows);
      for (int64_t r = 0; r < kRows; ++r) {
        double sum = 0, mean = 0;
        for (int64_t j = 0; j < 33; ++j) {
          sum += std::exp(logits[r * 33 + j]);
          mean += logits[r * 33 + j] / 33;
        }
        const double lse = std::log(sum), s = terms.smoothing;
        loss[r] = (1 - s) * (lse - logits[r * 33 + p.targets[r]]) + s * (lse - mean) +
                  terms.z_loss * lse * lse;
      }
      return loss;
    };
    for (const int64_t tile : {10, 33}) {
      const Forward f = Pass(p, tile, terms);
      const Array want_loss = losses(p.logits.values());
      for (int64_t r = 0; r < kRows; ++r) EXPECT_NEAR(f.loss[r], want_loss[r], 2e-5);
      Typed d_logits = reference::Zeros(Dtype::kF32, kRows * 33);
      for (int64_t at = 0; at < 33; at += tile) {
        auto* out = static_cast<std::byte*>(d_logits.data()) + at * sizeof(float);
        LossBackward(p.Block(at, std::min<int64_t>(tile, 33 - at)), p.targets.data(), f.lse.data(),
                     terms, kScale, Dtype::kF32, out, 33);
      }
      const Array want = reference::Differences(p.logits.values(), Array(kRows, kScale), losses);
      EXPECT_LE(reference::Distance(d_logits, want), 2 * reference::Tolerance(Dtype::kF32));
    }
  }
}

TEST(LossTest, ARowWithoutATargetHasNeitherLossNorGradient) {
  Problem p(33);
  p.targets[1] = kNoTarget;
  const Forward f = Pass(p, 10);
  EXPECT_EQ(f.loss[1], 0);
  EXPECT_NE(f.loss[0], 0);
  std::vector<float> d_logits(kRows * 33, 7);
  LossBackward(p.Block(0, 33), p.targets.data(), f.lse.data(), {}, 1, Dtype::kF32, d_logits.data(),
               33);
  for (int64_t j = 0; j < 33; ++j) EXPECT_EQ(d_logits[33 + j], 0);
  EXPECT_NE(d_logits[0], 0);
}

TEST(LossTest, BackwardMayOverwriteTheLogits) {
  Problem p(33);
  const Forward f = Pass(p, 33);
  std::vector<float> apart(kRows * 33);
  LossBackward(p.Block(0, 33), p.targets.data(), f.lse.data(), {}, 1, Dtype::kF32, apart.data(),
               33);
  LossBackward(p.Block(0, 33), p.targets.data(), f.lse.data(), {}, 1, Dtype::kF32, p.logits.data(),
               33);
  EXPECT_EQ(p.logits.wide, apart);
}

// The gradient away from the target is the exponential that all kernels share.
TEST(LossTest, ExponentialIsAccurateOverItsRange) {
  constexpr int64_t kIds = 20011;
  std::vector<float> logits(kIds), d_logits(kIds);
  for (int64_t i = 0; i < kIds; ++i) logits[i] = -87.0f + 175.0f * i / kIds;
  const LogitsBlock block{.rows = 1, .ids = kIds, .logits = logits.data(), .stride = kIds};
  const int32_t target = kIds;
  const float lse = 0;
  LossBackward(block, &target, &lse, {}, 1, Dtype::kF32, d_logits.data(), kIds);
  const double tolerance = CanBePortable() ? 3e-7 : 3e-6;  // without fused multiply-adds
  for (int64_t i = 0; i < kIds; ++i) {
    EXPECT_NEAR(d_logits[i] / std::exp(double{logits[i]}), 1, tolerance) << logits[i];
  }
}

TEST(LossTest, WhatIsNotFiniteShows) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), kInfinity}) {
    for (int64_t at : {0, 16, 32}) {
      Problem p(33);
      p.logits.wide[33 + at] = bad;
      const Forward f = Pass(p, 20);
      EXPECT_TRUE(std::isfinite(f.loss[0]));
      EXPECT_FALSE(std::isfinite(f.loss[1])) << bad << " at " << at;
    }
  }
}

}  // namespace
}  // namespace waferstream
