#include "controller/step_tally.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

using ::testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// 4 micro-batches of 2 sequences of 8 tokens on 2 wafers; 6 tiles on 2 MemoryX processes.
Plan SmallPlan() {
  Plan plan;
  plan.job.mutable_model()->set_context(8);
  plan.job.mutable_training()->set_global_batch(8);
  plan.job.mutable_training()->set_micro_batch(2);
  plan.shape = {.wafers = 2, .memoryx = 2, .swarmx = 1};
  plan.leaves = 4;
  plan.validation_leaves = 3;
  plan.validation_sequences = 5;
  plan.tiles.resize(6);
  return plan;
}

template <typename Report>
Report Losses(uint64_t step, std::vector<std::pair<uint32_t, double>> sums) {
  Report report;
  report.set_step(step);
  for (auto [micro_batch, sum] : sums) {
    report.add_micro_batch(micro_batch);
    report.add_loss_sum(sum);
  }
  return report;
}

WaferStep Wafer(std::vector<std::pair<uint32_t, double>> sums) {
  return Losses<WaferStep>(5, std::move(sums));
}

GradientsReady Gradients(std::vector<std::pair<uint32_t, double>> squares) {
  GradientsReady report;
  report.set_step(5);
  for (auto [tile, square] : squares) {
    report.add_tile(tile);
    report.add_square_sum(square);
  }
  return report;
}

TEST(StepTally, LossIsTheMeanAndTheNormCoversAllTiles) {
  StepTally tally(SmallPlan(), 5);
  EXPECT_TRUE(tally.Add(0, Wafer({{0, 16}, {1, 32}})).ok());
  EXPECT_TRUE(tally.Add(1, Wafer({{2, 48}, {3, 64}})).ok());
  EXPECT_TRUE(tally.Add(0, Gradients({{0, 1}, {2, 2}, {4, 3}})).ok());
  EXPECT_FALSE(tally.complete());
  EXPECT_TRUE(tally.Add(1, Gradients({{1, 4}, {3, 5}, {5, 10}})).ok());
  ASSERT_TRUE(tally.complete());
  const auto result = tally.Result();
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->loss, 160.0 / 64);
  EXPECT_EQ(result->norm, 5);
  EXPECT_EQ(result->clip_factor, 1);
}

TEST(StepTally, ClipsOnlyAboveTheLimit) {
  for (const auto& [clip, factor] : std::vector<std::pair<double, double>>{
           {0, 1}, {10, 1}, {1, 1 / (5 + 1e-6)}, {2.5, 2.5 / (5 + 1e-6)}}) {
    Plan plan = SmallPlan();
    plan.job.mutable_training()->set_clip(clip);
    StepTally tally(plan, 5);
    ASSERT_TRUE(tally.Add(0, Wafer({{0, 1}, {1, 1}, {2, 1}, {3, 1}})).ok());
    ASSERT_TRUE(tally.Add(1, Wafer({})).ok());
    ASSERT_TRUE(tally.Add(0, Gradients({{0, 25}, {1, 0}, {2, 0}, {3, 0}, {4, 0}, {5, 0}})).ok());
    ASSERT_TRUE(tally.Add(1, Gradients({})).ok());
    EXPECT_EQ(tally.Result()->clip_factor, factor) << clip;
  }
}

// The sums below round differently in almost every order.
TEST(StepTally, EveryArrivalOrderAndEveryDistributionGivesTheSameBits) {
  std::mt19937_64 random(17);
  Plan plan = SmallPlan();
  plan.leaves = 24;
  plan.tiles.resize(40);
  plan.shape = {.wafers = 5, .memoryx = 3, .swarmx = 1};
  const auto value = [](uint32_t i) { return std::exp(i * 0.9) / 7 + 0.1; };
  const auto deal = [&](uint32_t count, int processes) {
    std::vector<std::vector<std::pair<uint32_t, double>>> parts(processes);
    std::vector<uint32_t> order(count);
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), random);
    for (uint32_t i : order) parts[random() % processes].push_back({i, value(i)});
    return parts;
  };
  double loss = 0, square = 0;
  for (uint32_t i = 0; i < 24; ++i) loss += value(i);
  for (uint32_t i = 0; i < 40; ++i) square += value(i);

  for (int round = 0; round < 200; ++round) {
    StepTally tally(plan, 5);
    const auto wafers = deal(24, 5);
    const auto memoryx = deal(40, 3);
    std::vector<std::function<absl::Status()>> arrivals;
    for (int w = 0; w < 5; ++w) {
      arrivals.push_back([&, w] { return tally.Add(w, Wafer(wafers[w])); });
    }
    for (int m = 0; m < 3; ++m) {
      arrivals.push_back([&, m] { return tally.Add(m, Gradients(memoryx[m])); });
    }
    std::shuffle(arrivals.begin(), arrivals.end(), random);
    for (auto& arrive : arrivals) ASSERT_TRUE(arrive().ok());
    ASSERT_TRUE(tally.complete());
    EXPECT_EQ(std::bit_cast<uint64_t>(tally.Result()->loss), std::bit_cast<uint64_t>(loss / 64));
    EXPECT_EQ(std::bit_cast<uint64_t>(tally.Result()->norm),
              std::bit_cast<uint64_t>(std::sqrt(square)));
  }
}

TEST(StepTally, ADuplicateCountsOnce) {
  StepTally tally(SmallPlan(), 5);
  ASSERT_TRUE(tally.Add(0, Wafer({{0, 1}, {1, 1}})).ok());
  ASSERT_TRUE(tally.Add(0, Wafer({{0, 9}, {1, 9}})).ok());
  ASSERT_TRUE(tally.Add(0, Gradients({{0, 1}, {1, 1}, {2, 1}})).ok());
  ASSERT_TRUE(tally.Add(0, Gradients({{0, 1}, {1, 1}, {2, 1}})).ok());
  EXPECT_FALSE(tally.complete());
  ASSERT_TRUE(tally.Add(1, Wafer({{2, 1}, {3, 1}})).ok());
  ASSERT_TRUE(tally.Add(1, Gradients({{3, 1}, {4, 1}, {5, 1}})).ok());
  EXPECT_EQ(tally.Result()->loss, 4.0 / 64);
}

TEST(StepTally, RefusesWhatCannotBeTrueAndKeepsNothingOfIt) {
  StepTally tally(SmallPlan(), 5);
  EXPECT_THAT(tally.Add(0, Losses<WaferStep>(4, {{0, 1}})).message(), HasSubstr("step 5"));
  EXPECT_THAT(tally.Add(0, Wafer({{0, 1}, {4, 1}})).message(),
              HasSubstr("step 5: micro-batch 4 does not exist"));
  EXPECT_THAT(tally.Add(0, Wafer({{1, 1}, {1, 1}})).message(),
              HasSubstr("micro-batch 1 came twice"));
  WaferStep lopsided = Wafer({{0, 1}});
  lopsided.add_loss_sum(2);
  EXPECT_EQ(tally.Add(0, lopsided).code(), absl::StatusCode::kInvalidArgument);
  // None of the refused reports counts as wafer 0's.
  EXPECT_TRUE(tally.Add(0, Wafer({{0, 1}, {1, 1}})).ok());
  EXPECT_THAT(tally.Add(1, Wafer({{1, 1}})).message(), HasSubstr("micro-batch 1 came twice"));
  EXPECT_THAT(tally.Add(0, Gradients({{6, 1}})).message(), HasSubstr("tile 6 does not exist"));
}

TEST(StepTally, NamesWhatIsMissing) {
  StepTally tally(SmallPlan(), 5);
  ASSERT_TRUE(tally.Add(0, Wafer({{0, 1}, {1, 1}})).ok());
  ASSERT_TRUE(tally.Add(1, Wafer({{3, 1}})).ok());
  ASSERT_TRUE(tally.Add(0, Gradients({{0, 1}, {1, 1}, {2, 1}})).ok());
  ASSERT_TRUE(tally.Add(1, Gradients({{3, 1}, {4, 1}, {5, 1}})).ok());
  EXPECT_EQ(tally.Result().status(),
            absl::InvalidArgumentError("step 5: micro-batch 2 is missing"));
}

TEST(StepTally, NamesTheFirstPlaceThatIsNotFinite) {
  for (double bad : {kNan, kInfinity, -kInfinity}) {
    StepTally loss(SmallPlan(), 5);
    ASSERT_TRUE(loss.Add(0, Wafer({{0, 1}, {1, 1}})).ok());
    ASSERT_TRUE(loss.Add(1, Wafer({{2, bad}, {3, kNan}})).ok());
    ASSERT_TRUE(loss.Add(0, Gradients({{0, 1}, {1, 1}, {2, 1}, {3, 1}, {4, 1}, {5, 1}})).ok());
    ASSERT_TRUE(loss.Add(1, Gradients({})).ok());
    EXPECT_EQ(loss.Result().status(),
              absl::OutOfRangeError("step 5: loss is not finite in micro-batch 2"));
    StepTally norm(SmallPlan(), 5);
    ASSERT_TRUE(norm.Add(0, Wafer({{0, 1}, {1, 1}, {2, 1}, {3, 1}})).ok());
    ASSERT_TRUE(norm.Add(1, Wafer({})).ok());
    ASSERT_TRUE(norm.Add(0, Gradients({{0, 1}, {1, 1}, {2, 1}, {3, bad}, {4, 1}, {5, 1}})).ok());
    ASSERT_TRUE(norm.Add(1, Gradients({})).ok());
    EXPECT_EQ(norm.Result().status(),
              absl::OutOfRangeError("step 5: gradient is not finite in tile 3"));
  }
}

TEST(ValidationTally, IsTheMeanOverTheValidationTokens) {
  ValidationTally tally(SmallPlan(), 9);
  EXPECT_THAT(tally.Add(0, Losses<WaferValidation>(9, {{3, 1}})).message(),
              HasSubstr("validation after step 9: micro-batch 3 does not exist"));
  ASSERT_TRUE(tally.Add(1, Losses<WaferValidation>(9, {{2, 48}})).ok());
  ASSERT_TRUE(tally.Add(1, Losses<WaferValidation>(9, {{2, 48}})).ok());
  EXPECT_FALSE(tally.complete());
  ASSERT_TRUE(tally.Add(0, Losses<WaferValidation>(9, {{0, 16}, {1, 32}})).ok());
  ASSERT_TRUE(tally.complete());
  EXPECT_EQ(*tally.Result(), 96.0 / (5 * 8)) << "the last micro-batch has one sequence";
}

TEST(ValidationTally, NamesTheFirstPlaceThatIsNotFinite) {
  ValidationTally tally(SmallPlan(), 9);
  ASSERT_TRUE(tally.Add(0, Losses<WaferValidation>(9, {{0, 1}, {1, kNan}})).ok());
  ASSERT_TRUE(tally.Add(1, Losses<WaferValidation>(9, {{2, 1}})).ok());
  EXPECT_EQ(tally.Result().status(),
            absl::OutOfRangeError("validation after step 9: loss is not finite in micro-batch 1"));
}

}  // namespace
}  // namespace waferstream
