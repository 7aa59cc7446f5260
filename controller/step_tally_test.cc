#include "controller/step_tally.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <random>

#include "base/exact_sum.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "plan/shard_squares.h"

namespace waferstream {
namespace {

using ::testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Tile t is in shard t % shards.
void PutTiles(Plan& plan, int tiles, int shards) {
  plan.tiles.resize(tiles);
  plan.shape.shards.resize(shards);
  for (int t = 0; t < tiles; ++t) plan.tiles[t].shard = t % shards;
}

// 4 micro-batches of 2 sequences of 8 tokens on 2 wafers; 6 tiles on 2 MemoryX processes.
Plan SmallPlan() {
  Plan plan;
  plan.job.mutable_model()->set_context(8);
  plan.job.mutable_training()->set_global_batch(8);
  plan.job.mutable_training()->set_micro_batch(2);
  plan.shape = {.wafers = 2, .memoryx = 2, .swarmx = 1, .shards = {}};
  plan.leaves = 4;
  plan.validation_leaves = 3;
  plan.validation_sequences = 5;
  PutTiles(plan, 6, 2);
  return plan;
}

template <typename Report>
Report Losses(uint64_t step, const std::vector<std::pair<uint32_t, double>>& sums) {
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

// The squares of the plan's shard, by tile.
GradientsReady Gradients(const Plan& plan, const std::map<int, double>& squares) {
  GradientsReady report;
  report.set_step(5);
  std::vector<int> tiles;
  std::vector<double> sums;
  for (const auto& [tile, square] : squares) {
    tiles.push_back(tile);
    sums.push_back(square);
  }
  for (const ShardSquares& shard : SquaresByShard(plan, tiles, sums)) *report.add_shards() = shard;
  return report;
}
GradientsReady Gradients(const std::map<int, double>& squares) {
  return Gradients(SmallPlan(), squares);
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
  const auto value = [](uint32_t i) { return std::exp(i * 0.9) / 7 + 0.1; };
  double loss = 0;
  for (uint32_t i = 0; i < 24; ++i) loss += value(i);
  ExactSum square;
  for (uint32_t i = 0; i < 40; ++i) square.Add(value(i));

  for (int round = 0; round < 200; ++round) {
    const int shards = 1 + static_cast<int>(random() % 4);
    plan.shape = {.wafers = 5, .memoryx = shards, .swarmx = 1, .shards = {}};
    PutTiles(plan, 40, shards);
    StepTally tally(plan, 5);
    std::vector<std::vector<std::pair<uint32_t, double>>> losses(5);
    for (uint32_t i = 0; i < 24; ++i) losses[random() % 5].push_back({i, value(i)});
    std::vector<std::map<int, double>> squares(shards);
    for (int i = 0; i < 40; ++i) squares[i % shards][i] = value(i);
    std::vector<std::function<absl::Status()>> arrivals;
    for (int w = 0; w < 5; ++w) {
      arrivals.push_back([&, w] { return tally.Add(w, Wafer(losses[w])); });
    }
    for (int m = 0; m < shards; ++m) {
      arrivals.push_back([&, m] { return tally.Add(m, Gradients(plan, squares[m])); });
    }
    std::shuffle(arrivals.begin(), arrivals.end(), random);
    for (auto& arrive : arrivals) ASSERT_TRUE(arrive().ok());
    ASSERT_TRUE(tally.complete());
    EXPECT_EQ(std::bit_cast<uint64_t>(tally.Result()->loss), std::bit_cast<uint64_t>(loss / 64));
    EXPECT_EQ(std::bit_cast<uint64_t>(tally.Result()->norm),
              std::bit_cast<uint64_t>(std::sqrt(square.Rounded())));
  }
}

TEST(StepTally, CopiesOfAShardMustAgree) {
  StepTally tally(SmallPlan(), 5);
  ASSERT_TRUE(tally.Add(0, Gradients({{0, 1}, {2, 1}, {4, 1}, {1, 7}})).ok());
  EXPECT_EQ(tally.Add(1, Gradients({{1, 7.5}})),
            absl::DataLossError("step 5: the copies of shard 1 disagree"));
  EXPECT_FALSE(tally.complete() || tally.Add(1, Gradients({{1, kNan}})).ok());
  EXPECT_TRUE(tally.Add(1, Gradients({{1, 7}})).ok());
}

TEST(StepTally, ADuplicateCountsOnce) {
  StepTally tally(SmallPlan(), 5);
  ASSERT_TRUE(tally.Add(0, Wafer({{0, 1}, {1, 1}})).ok());
  ASSERT_TRUE(tally.Add(0, Wafer({{0, 9}, {1, 9}})).ok());
  ASSERT_TRUE(tally.Add(0, Gradients({{0, 1}, {2, 1}, {4, 1}})).ok());
  ASSERT_TRUE(tally.Add(0, Gradients({{0, 1}, {2, 1}, {4, 1}})).ok());
  EXPECT_FALSE(tally.complete());
  ASSERT_TRUE(tally.Add(1, Wafer({{2, 1}, {3, 1}})).ok());
  ASSERT_TRUE(tally.Add(1, Gradients({{1, 1}, {3, 1}, {5, 1}})).ok());
  EXPECT_EQ(tally.Result()->loss, 4.0 / 64);
}

// A shard of which nothing is trained.
TEST(StepTally, AShardWithoutGradientsAddsNothing) {
  StepTally tally(SmallPlan(), 5);
  ASSERT_TRUE(tally.Add(0, Wafer({{0, 1}, {1, 1}})).ok());
  ASSERT_TRUE(tally.Add(1, Wafer({{2, 1}, {3, 1}})).ok());
  ASSERT_TRUE(tally.Add(0, Gradients({{0, 0}, {2, 0}, {4, 0}})).ok());
  ASSERT_TRUE(tally.Add(1, Gradients({{1, 4}, {3, 5}, {5, 0}})).ok());
  EXPECT_EQ(tally.Result()->norm, 3);
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
  GradientsReady unknown = Gradients({{0, 1}});
  unknown.mutable_shards(0)->set_shard(2);
  EXPECT_THAT(tally.Add(0, unknown).message(), HasSubstr("shard 2 does not exist"));
  GradientsReady doubled = Gradients({{0, 1}});
  *doubled.add_shards() = doubled.shards(0);
  EXPECT_THAT(tally.Add(0, doubled).message(), HasSubstr("shard 0 came twice"));
  GradientsReady endless = Gradients({{0, 1}});
  endless.mutable_shards(0)->set_first_limb(1000);
  EXPECT_EQ(tally.Add(0, endless).code(), absl::StatusCode::kInvalidArgument);
}

TEST(StepTally, NamesWhatIsMissing) {
  StepTally tally(SmallPlan(), 5);
  ASSERT_TRUE(tally.Add(0, Wafer({{0, 1}, {1, 1}})).ok());
  ASSERT_TRUE(tally.Add(1, Wafer({{3, 1}})).ok());
  ASSERT_TRUE(tally.Add(0, Gradients({{0, 1}, {2, 1}, {4, 1}})).ok());
  ASSERT_TRUE(tally.Add(1, Gradients({{1, 1}, {3, 1}, {5, 1}})).ok());
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
