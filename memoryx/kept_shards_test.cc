#include "memoryx/kept_shards.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "memoryx/test_plan.h"

namespace waferstream {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

constexpr StepUpdate kUpdate = {.step = 4, .clip_factor = 0.5, .learning_rate = 2};
constexpr float kGradient = 3;
constexpr float kUpdated = -3;  // of a weight that was zero: lr * clip * gradient below it

// Process 0 with both shards, after 4 steps, in which nothing has been lost yet.
class KeptShardsTest : public testing::Test {
 protected:
  KeptShardsTest() {
    plan_.shape.shards = {{{0}, {}}, {{0}, {}}};
    place_.start_step = 4;
    Allocate();
    for (const auto& shard : shards_) {
      for (HeldTile& tile : shard->tiles()) tile.Stamp(4, serial_);
    }
  }

  void Allocate() { shards_ = *kept_.Allocate(plan_, place_, nullptr); }
  ShardMemory& Shard(int shard) { return *shards_[shard]; }
  HeldTile& Tile(int shard, int index) { return shards_[shard]->tiles()[index]; }
  void SumGradients(int shard, uint64_t step = 4) {
    for (HeldTile& tile : Shard(shard).tiles()) tile.SetGradient(step, gradient_.data());
  }
  absl::Status Update(HeldTile& tile) {
    return tile.Update(plan_.job.training().optimizer(), kUpdate, serial_);
  }

  absl::Status Settle(uint64_t start_step, std::optional<StepUpdate> last_commit = std::nullopt) {
    place_.start_step = start_step;
    return kept_.Settle(plan_, place_, last_commit, serial_);
  }
  void ExpectRefused(const absl::Status& status, const std::string& why) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), HasSubstr(why));
  }
  void ExpectTile(int shard, int index, uint64_t version, float weight) {
    const HeldTile& tile = Tile(shard, index);
    EXPECT_EQ(tile.version(), version) << shard << " " << index;
    EXPECT_THAT(std::vector<float>(tile.weights(), tile.weights() + tile.elements()), Each(weight))
        << shard << " " << index;
  }

  Plan plan_ = TestPlan(1);
  MemoryxPlace place_;
  Serial serial_;
  std::vector<float> gradient_ = std::vector<float>(kMatrixElements, kGradient);
  KeptShards kept_;
  TileStore::Shards shards_;
};

TEST_F(KeptShardsTest, WhatIsAtTheStepStaysAsItIs) {
  SumGradients(0);  // of a step without a commit
  ASSERT_TRUE(Settle(4).ok());
  for (int index : {0, 1}) ExpectTile(0, index, 4, 0);
  ExpectTile(1, 0, 4, 0);
  EXPECT_EQ(Shard(0).committed(), 4u);
}

TEST_F(KeptShardsTest, AnUpdateThatReachedSomeTilesReachesTheOthersAndNoneTwice) {
  for (int shard : {0, 1}) {
    SumGradients(shard);
    Shard(shard).Commit(kUpdate);
  }
  ASSERT_TRUE(Update(Tile(0, 1)).ok());
  ASSERT_TRUE(Settle(5).ok());
  for (int index : {0, 1}) ExpectTile(0, index, 5, kUpdated);
  ExpectTile(1, 0, 5, kUpdated);
  ASSERT_TRUE(Settle(5).ok()) << "again";
  ExpectTile(1, 0, 5, kUpdated);
}

TEST_F(KeptShardsTest, ACommitThatDidNotArriveIsAdopted) {
  for (int shard : {0, 1}) SumGradients(shard);
  Shard(0).Commit(kUpdate);  // one heard of it
  ASSERT_TRUE(Settle(5, kUpdate).ok());
  for (int shard : {0, 1}) {
    ExpectTile(shard, 0, 5, kUpdated);
    EXPECT_EQ(Shard(shard).committed(), 5u);
  }
}

TEST_F(KeptShardsTest, WhatIsNotTrainedNeedsNoGradient) {
  kept_.Forget();
  plan_.parameters[1].trained = false;
  plan_.parameters[1].contributions = 0;
  Allocate();
  for (const auto& shard : shards_) {
    for (HeldTile& tile : shard->tiles()) tile.Stamp(4, serial_);
  }
  for (int shard : {0, 1}) Tile(shard, 0).SetGradient(4, gradient_.data());
  ASSERT_TRUE(Settle(5, kUpdate).ok());
  ExpectTile(0, 0, 5, kUpdated);
  ExpectTile(0, 1, 5, 0);
  ExpectTile(1, 0, 5, kUpdated);
}

// As when its copy came from a process that had heard more.
TEST_F(KeptShardsTest, ATileMayBeAheadOfTheCommits) {
  for (int shard : {0, 1}) SumGradients(shard);
  Tile(0, 0).Stamp(5, serial_);
  ASSERT_TRUE(Settle(5, kUpdate).ok());
  ExpectTile(0, 0, 5, 0);
  ExpectTile(0, 1, 5, kUpdated);
}

TEST_F(KeptShardsTest, OnlyTheCommitOfTheStepBeforeIsAdopted) {
  for (int shard : {0, 1}) SumGradients(shard);
  ExpectRefused(Settle(5), "shard 0 is kept after 4 steps, not after 5");
  ExpectRefused(Settle(5, StepUpdate{.step = 3}), "shard 0 is kept after 4 steps, not after 5");
  ExpectRefused(Settle(5, StepUpdate{.step = 5}), "shard 0 is kept after 4 steps, not after 5");
  ExpectRefused(Settle(6, StepUpdate{.step = 5}), "shard 0 is kept after 4 steps, not after 6");
  ExpectRefused(Settle(3), "shard 0 is kept after 4 steps, not after 3");
  ExpectTile(0, 0, 4, 0);
}

TEST_F(KeptShardsTest, ARefusalChangesNothing) {
  SumGradients(0);  // shard 1 has none, or an older step's
  for (int round : {0, 1}) {
    ExpectRefused(Settle(5, kUpdate), "shard 1 is kept after 4 steps, not after 5");
    ExpectTile(0, 0, 4, 0);
    EXPECT_EQ(Shard(0).committed(), 4u);
    if (round == 0) SumGradients(1, 3);
  }
  SumGradients(1);
  EXPECT_TRUE(Settle(5, kUpdate).ok());
}

TEST_F(KeptShardsTest, ATileTwoUpdatesAwayDoesNotReach) {
  for (int shard : {0, 1}) SumGradients(shard);
  Tile(1, 0).Stamp(3, serial_);
  ExpectRefused(Settle(5, kUpdate), "shard 1");
  Tile(1, 0).Stamp(6, serial_);
  ExpectRefused(Settle(5, kUpdate), "shard 1");
}

TEST_F(KeptShardsTest, WhatIsNotWholeIsNotHeld) {
  Tile(1, 0).Forget();
  ExpectRefused(Settle(4), "does not hold shard 1");
  kept_.Forget();
  ExpectRefused(Settle(4), "does not hold shard 0");
}

TEST_F(KeptShardsTest, DamageFoundByTheUpdateIsRefusedThenAndLater) {
  for (int shard : {0, 1}) SumGradients(shard);
  Tile(0, 1).weights()[1] = 1;
  ExpectRefused(Settle(5, kUpdate), "is damaged in memory");
  ExpectRefused(Settle(5, kUpdate), "does not hold shard 0");
}

TEST_F(KeptShardsTest, AllocateKeepsWhatItOwnsAndForgetsTheRest) {
  const TileStore::Shards before = shards_;
  plan_.shape.shards = {{{1}, {}}, {{1, 0}, {}}};
  Allocate();
  ASSERT_EQ(shards_.size(), 1u);
  EXPECT_EQ(shards_[0], before[1]);
  plan_.shape.shards = {{{0}, {}}, {{0}, {}}};
  ExpectRefused(Settle(4), "does not hold shard 0");
  place_.start_step = 9;
  Allocate();
  ASSERT_EQ(shards_.size(), 2u);
  EXPECT_NE(shards_[0], before[0]);
  EXPECT_EQ(Shard(0).shard(), 0);
  EXPECT_EQ(Shard(0).committed(), 9u);
  EXPECT_EQ(Tile(0, 0).version(), HeldTile::kAbsent);
  EXPECT_EQ(shards_[1], before[1]);
}

// Process 0 owns shard 1 and fills shard 0, of which it has some tiles.
class FillingTest : public KeptShardsTest {
 protected:
  FillingTest() { plan_.shape.shards = {{{1}, {0}}, {{0}, {}}}; }
  absl::Status SettleFilled(size_t tiles, uint64_t start_step = 4,
                            std::optional<StepUpdate> last_commit = std::nullopt) {
    place_.filled_tiles[{0, 0}] = tiles;
    return Settle(start_step, last_commit);
  }
};

TEST_F(FillingTest, GoesOnBehindTheTilesThatCount) {
  ASSERT_TRUE(SettleFilled(1).ok());
  EXPECT_EQ(Tile(0, 0).version(), 4u);
  EXPECT_EQ(Tile(0, 1).version(), HeldTile::kAbsent) << "here, but its sender begins with it";
  const auto before = shards_[0];
  Allocate();
  EXPECT_EQ(shards_[0], before);
}

TEST_F(FillingTest, WhatIsBehindThemNeedNotReachTheStep) {
  for (int shard : {0, 1}) SumGradients(shard);
  Tile(0, 1).Forget();
  ASSERT_TRUE(SettleFilled(1, 5, kUpdate).ok());
  ExpectTile(0, 0, 5, kUpdated);
  EXPECT_EQ(Tile(0, 1).version(), HeldTile::kAbsent);
  EXPECT_EQ(Shard(0).committed(), 5u);
}

TEST_F(FillingTest, WhatIsNotHereIsRefusedByCount) {
  EXPECT_EQ(SettleFilled(3).message(), "does not hold 3 tiles of shard 0") << "it has two";
  Tile(0, 1).Forget();
  ExpectRefused(SettleFilled(2), "does not hold 2 tiles of shard 0 after 4 steps");
  EXPECT_EQ(Tile(0, 0).version(), 4u);
  EXPECT_TRUE(SettleFilled(1).ok());
}

TEST_F(FillingTest, FromTheStartItIsNewMemory) {
  ASSERT_TRUE(SettleFilled(0).ok());
  const auto before = shards_[0];
  Allocate();
  ASSERT_EQ(shards_.size(), 2u);
  EXPECT_NE(shards_[0], before);
  EXPECT_EQ(Tile(0, 0).version(), HeldTile::kAbsent);
}

TEST_F(FillingTest, WhatAnotherProcessHasFilledIsNotOnes) {
  kept_.Forget();
  place_.filled_tiles[{0, 1}] = 2;
  place_.filled_tiles[{1, 0}] = 0;
  ExpectRefused(Settle(4), "does not hold shard 1");
}

}  // namespace
}  // namespace waferstream
