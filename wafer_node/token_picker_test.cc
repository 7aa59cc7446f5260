#include "wafer_node/token_picker.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>
#include <vector>

namespace waferstream {
namespace {

GenerateSpec Spec(double temperature, uint32_t top_k, uint64_t seed = 1) {
  GenerateSpec spec;
  spec.set_temperature(temperature);
  spec.set_top_k(top_k);
  spec.set_seed(seed);
  return spec;
}

int32_t PickOf(TokenPicker& picker, uint64_t index, const std::vector<float>& logits,
               int64_t tile = 3) {
  picker.Start(index);
  const int64_t ids = static_cast<int64_t>(logits.size());
  for (int64_t i = 0; i < ids; i += tile) {
    picker.Add(i, logits.data() + i, std::min(tile, ids - i));
  }
  return picker.Pick();
}

TEST(TokenPicker, ZeroTemperatureTakesTheLargestAndTheLowestOfEquals) {
  TokenPicker picker(Spec(0, 0));
  EXPECT_EQ(PickOf(picker, 0, {1, 5, 2, 5, 3}), 1);
  EXPECT_EQ(PickOf(picker, 1, {-3, -2, -2}), 1);
  EXPECT_EQ(PickOf(picker, 2, {7}), 0);
}

TEST(TokenPicker, FrequenciesAreThoseOfTheSoftmax) {
  const std::vector<float> logits = {0, 1, 2, -1};
  constexpr double kTemperature = 0.8;
  double total = 0;
  for (float x : logits) total += std::exp(x / kTemperature);
  TokenPicker picker(Spec(kTemperature, 0));
  constexpr int kDraws = 20000;
  std::array<int, 4> count = {};
  for (int i = 0; i < kDraws; ++i) ++count[PickOf(picker, i, logits)];
  for (size_t id = 0; id < logits.size(); ++id) {
    const double p = std::exp(logits[id] / kTemperature) / total;
    EXPECT_NEAR(count[id], kDraws * p, 5 * std::sqrt(kDraws * p * (1 - p))) << id;
  }
}

TEST(TokenPicker, TopKLeavesTheOthersOut) {
  TokenPicker picker(Spec(100, 2));
  std::set<int32_t> seen;
  // Nearly flat at this temperature. 4 ties with 2, and the lower id is kept.
  for (int i = 0; i < 200; ++i) seen.insert(PickOf(picker, i, {0, 9, 8, 1, 8}));
  EXPECT_EQ(seen, (std::set<int32_t>{1, 2}));
}

TEST(TokenPicker, ATopKOfEverythingIsNoLimit) {
  TokenPicker all(Spec(2, 0)), top(Spec(2, 5)), more(Spec(2, 50));
  for (int i = 0; i < 200; ++i) {
    const std::vector<float> logits = {0, 0.5f, -1, 2, 1.5f};
    const int32_t pick = PickOf(all, i, logits);
    EXPECT_EQ(PickOf(top, i, logits), pick);
    EXPECT_EQ(PickOf(more, i, logits), pick);
  }
}

// softmax([2, 1, 0, -1, 1]) is [.521, .192, .070, .026, .192]; of equals the lower id comes first.
TEST(TokenPicker, TopPLeavesTheFewestThatHaveItsProbability) {
  const std::vector<float> logits = {2, 1, 0, -1, 1};
  const auto seen = [&](double top_p, uint32_t top_k, double temperature) {
    GenerateSpec spec = Spec(temperature, top_k);
    spec.set_top_p(top_p);
    TokenPicker picker(spec);
    std::set<int32_t> ids;
    for (int i = 0; i < 2000; ++i) ids.insert(PickOf(picker, i, logits));
    return ids;
  };
  EXPECT_EQ(seen(0.4, 0, 1), (std::set<int32_t>{0}));
  EXPECT_EQ(seen(0.6, 0, 1), (std::set<int32_t>{0, 1}));
  EXPECT_EQ(seen(0.8, 0, 1), (std::set<int32_t>{0, 1, 4}));
  EXPECT_EQ(seen(0.95, 0, 1), (std::set<int32_t>{0, 1, 2, 4}));
  EXPECT_EQ(seen(1, 0, 1), (std::set<int32_t>{0, 1, 2, 3, 4}));
  // Of the two that top_k leaves, the first has .731; at temperature 0.5, .881.
  EXPECT_EQ(seen(0.7, 2, 1), (std::set<int32_t>{0}));
  EXPECT_EQ(seen(0.8, 2, 1), (std::set<int32_t>{0, 1}));
  EXPECT_EQ(seen(0.8, 2, 0.5), (std::set<int32_t>{0}));
  EXPECT_EQ(seen(0.5, 0, 0), (std::set<int32_t>{0}));
}

TEST(TokenPicker, ATopPOfOneIsNoLimit) {
  GenerateSpec limited = Spec(2, 5);
  limited.set_top_p(1);
  TokenPicker all(Spec(2, 0)), one(limited);
  for (int i = 0; i < 200; ++i) {
    const std::vector<float> logits = {0, 0.5f, -1, 2, 1.5f};
    EXPECT_EQ(PickOf(one, i, logits), PickOf(all, i, logits));
  }
}

TEST(TokenPicker, ATopKOfOneIsTheLargest) {
  TokenPicker picker(Spec(50, 1));
  for (int i = 0; i < 50; ++i) EXPECT_EQ(PickOf(picker, i, {0, 1, 0.5f}), 1);
}

}  // namespace
}  // namespace waferstream
