#include "memoryx/gradient_sum.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/status.h"
#include "memoryx/test_plan.h"
#include "plan/canonical_sum.h"
#include "plan/pass.h"

namespace waferstream {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr uint32_t kEpoch = 6;
constexpr ChannelId kChannel = 0;

// Element i of a block is this much times its value: exact, and tells the elements apart.
float Scale(size_t i) { return std::ldexp(1.f, static_cast<int>(i % 5)); }

// Process 0 of TestPlan; every tile at version `start_step`, with zero weights.
class GradientSumTest : public testing::Test {
 protected:
  void Begin(Plan plan, uint64_t start_step = 0, int process = 0) {
    plan_ = std::move(plan);
    TileStore::Shards shards;
    for (int s = 0; s < 2; ++s) {
      if (s == 0 || process == 1) shards.push_back(*ShardMemory::Create(plan_, s, nullptr));
    }
    store_.emplace(plan_, process, shards);
    for (size_t local = 0; local < store_->tiles().size(); ++local) {
      if (plan_.Primary(store_->tiles()[local]) == process) Tile(local).Stamp(start_step, serial_);
    }
    place_ = {.process = process, .epoch = kEpoch, .start_step = start_step};
    sum_ = *GradientSum::Create(plan_, place_, *store_, lanes_, traffic_);
  }

  HeldTile& Tile(size_t local) { return store_->tile(static_cast<int>(local)); }

  // The block of one micro-batch.
  FrameHeader Block(int tile, int contribution, BlockRange range, uint32_t wave,
                    uint64_t step = 0) const {
    FrameHeader header;
    header.kind = FrameKind::kGradient;
    header.pass = static_cast<uint8_t>(PassKind::kBackward);
    header.contribution = static_cast<uint8_t>(contribution);
    header.range_level = range.level;
    header.range_lo = range.lo;
    header.epoch = kEpoch;
    header.step = step;
    header.wave = wave;
    header.tile = static_cast<uint32_t>(tile);
    header.length = 4 * plan_.tiles[tile].elements;
    return header;
  }

  // Up to the lane.
  void Land(const FrameHeader& header, float value) {
    const auto buffer = sum_->BufferFor(kChannel, header);
    ASSERT_TRUE(buffer.ok()) << buffer.status();
    ASSERT_EQ(buffer->size(), header.length);
    auto* const floats = reinterpret_cast<float*>(buffer->data());
    if (header.length == 0) std::fill_n(floats, plan_.tiles[header.tile].elements, NAN);
    for (size_t i = 0; i < header.length / 4; ++i) floats[i] = value * Scale(i);
    sum_->Land(sum_->OnFrame(kChannel, header, buffer->data()), turn_);
  }
  // What has been sent to the lane; the grants that follow from it.
  absl::Status RunLane(std::vector<GrantAction>* grants = nullptr) {
    Turn after;
    for (const Action& action : std::exchange(turn_.actions, {})) {
      const auto& compute = std::get<ComputeAction>(action);
      RETURN_IF_ERROR(lanes_.OnDone(compute.id, compute.work(serial_), after));
    }
    for (const Action& action : after.actions) {
      if (grants != nullptr) grants->push_back(std::get<GrantAction>(action));
    }
    return absl::OkStatus();
  }
  void Deliver(const FrameHeader& header, float value) {
    Land(header, value);
    ASSERT_TRUE(RunLane().ok());
  }
  // All blocks of a wave: `value` for contribution 0, `other` for contribution 1.
  void DeliverWave(BlockRange range, uint32_t wave, float value, float other, uint64_t step = 0) {
    Deliver(Block(2, 0, range, wave, step), value);
    Deliver(Block(0, 0, range, wave, step), value);
    Deliver(Block(0, 1, range, wave, step), other);
  }

  // The total of a tile, by what plain SGD makes of weights that are zero.
  std::vector<float> Total(int local, uint64_t step = 0) {
    HeldTile& tile = Tile(local);
    EXPECT_TRUE(tile.Update(plan_.job.training().optimizer(), {step, 1.0, 1.0}, serial_).ok());
    std::vector<float> total;
    for (size_t i = 0; i < tile.elements(); ++i) total.push_back(-tile.weights()[i]);
    return total;
  }
  void ExpectTotal(int local, float value, uint64_t step = 0) {
    const std::vector<float> total = Total(local, step);
    for (size_t i = 0; i < total.size(); ++i) EXPECT_EQ(total[i], value * Scale(i)) << i;
  }

  Plan plan_;
  MemoryxPlace place_;
  Serial serial_;
  LaneQueue lanes_;
  TrafficCounters traffic_;
  std::optional<TileStore> store_;
  std::unique_ptr<GradientSum> sum_;
  Turn turn_;
};

// Beside 1e8 a 1 is lost in fp32, so every other order gives another sum.
TEST_F(GradientSumTest, AddsSiblingsAndNothingElse) {
  Begin(TestPlan(4));
  DeliverWave({0, 0}, 0, 1e8f, 3);
  DeliverWave({1, 0}, 1, 1, 0);
  DeliverWave({2, 0}, 2, -1e8f, 0);
  DeliverWave({3, 0}, 3, 1, 0);
  ASSERT_TRUE(sum_->complete());
  ExpectTotal(1, 0);  // (1e8 + 1) + (-1e8 + 1); one after the other it would be 1
  ExpectTotal(0, 3);  // each contribution apart, then both
  EXPECT_EQ(traffic_.gradient_adds(), 3 * 3u);
}

// Wherever such a block stands in the tree, and where all are such.
TEST_F(GradientSumTest, ABlockWithoutItsZerosIsOneOfZeros) {
  for (const uint32_t zeros : {0u, 1u, 2u, 3u, 4u}) {
    Begin(TestPlan(4));
    for (uint32_t leaf = 0; leaf < 4; ++leaf) {
      FrameHeader block = Block(2, 0, {leaf, 0}, leaf);
      if (leaf == zeros || zeros == 4) block.length = 0;
      Deliver(block, 1);
      Deliver(Block(0, 0, {leaf, 0}, leaf), 1);
      Deliver(Block(0, 1, {leaf, 0}, leaf), 1);
    }
    ASSERT_TRUE(sum_->complete());
    ExpectTotal(1, zeros == 4 ? 0 : 3);
    ExpectTotal(0, 8);
  }
}

// (1 + 1e8) + (-1e8 + 1), then the fifth, which has no sibling below the root.
TEST_F(GradientSumTest, AnAbsentLeafAddsNothing) {
  Begin(TestPlan(5));
  DeliverWave({0, 0}, 0, 1, 1);
  DeliverWave({1, 0}, 1, 1e8f, 1);
  DeliverWave({2, 0}, 2, -1e8f, 1);
  DeliverWave({3, 0}, 3, 1, 1);
  EXPECT_FALSE(sum_->complete());
  DeliverWave({4, 2}, 4, 1, 1);
  ASSERT_TRUE(sum_->complete());
  ExpectTotal(1, 1);
  ExpectTotal(0, 6);
}

// Buffers are few, and come back.
TEST_F(GradientSumTest, AnyNumberOfWavesFindsItsBuffers) {
  for (const uint32_t leaves : {1, 2, 3, 7, 8, 13, 16}) {
    SCOPED_TRACE(leaves);
    Begin(TestPlan(static_cast<int>(leaves)));
    for (uint32_t leaf = 0; leaf < leaves; ++leaf) {
      DeliverWave(LeafRange(leaf, leaves), leaf, 1, 2);
    }
    ASSERT_TRUE(sum_->complete());
    ExpectTotal(0, 3 * static_cast<float>(leaves));
  }
}

TEST_F(GradientSumTest, TheSquareSumIsOfTheTotal) {
  Begin(TestPlan(1));
  DeliverWave({0, 0}, 0, 3, -1);
  ASSERT_EQ(sum_->square_sums().size(), 2u);
  // The squares of the scales of five elements add up to 341.
  EXPECT_EQ(sum_->square_sums()[0], 4 * 341 * 2.0 * 2.0);
  EXPECT_EQ(sum_->square_sums()[1], (1 + 4 + 16) * 3.0 * 3.0);
}

TEST_F(GradientSumTest, IsCompleteWhenTheLaneIsDoneAndNotBefore) {
  Begin(TestPlan(1));
  EXPECT_FALSE(sum_->HasBlocks(0));
  Deliver(Block(2, 0, {0, 0}, 0), 1);
  EXPECT_TRUE(sum_->HasBlocks(1));
  EXPECT_FALSE(sum_->HasBlocks(0));
  EXPECT_TRUE(Tile(1).HasGradient(0));
  Deliver(Block(0, 0, {0, 0}, 0), 1);
  EXPECT_TRUE(sum_->HasBlocks(0));
  EXPECT_FALSE(Tile(0).HasGradient(0)) << "contribution 1 is missing";
  Land(Block(0, 1, {0, 0}, 0), 1);
  EXPECT_FALSE(sum_->complete());
  ASSERT_TRUE(RunLane().ok());
  EXPECT_TRUE(sum_->complete());
}

TEST_F(GradientSumTest, TheNextStepBeginsWithNothing) {
  Begin(TestPlan(2));
  DeliverWave({0, 0}, 0, 5, 7);
  DeliverWave({1, 0}, 1, 5, 7);
  ASSERT_TRUE(sum_->complete());
  sum_->BeginStep();
  EXPECT_FALSE(sum_->complete());
  EXPECT_FALSE(sum_->HasBlocks(0));
  for (int local : {0, 1}) Tile(local).Stamp(1, serial_);
  DeliverWave({0, 0}, 0, 1, 2, 1);
  EXPECT_FALSE(sum_->complete());
  DeliverWave({1, 0}, 1, 1, 2, 1);
  ASSERT_TRUE(sum_->complete());
  ExpectTotal(0, 6, 1);
  ExpectTotal(1, 2, 1);
  EXPECT_THAT(std::string(sum_->BufferFor(kChannel, Block(2, 0, {0, 0}, 0, 2)).status().message()),
              HasSubstr("after the last step"));
}

TEST_F(GradientSumTest, GoesOnAtTheStepOfItsEpoch) {
  Begin(TestPlan(1), 1);
  EXPECT_FALSE(sum_->BufferFor(kChannel, Block(2, 0, {0, 0}, 0, 0)).ok());
  DeliverWave({0, 0}, 0, 2, 3, 1);
  EXPECT_TRUE(sum_->complete());
}

TEST_F(GradientSumTest, WhatIsNotDueIsRefusedAndTakesNoSlot) {
  Begin(TestPlan(2));
  const FrameHeader due = Block(2, 0, {0, 0}, 0);
  std::vector<FrameHeader> wrong = {Block(1, 0, {0, 0}, 0),   Block(0, 0, {0, 0}, 0),
                                    Block(2, 1, {0, 0}, 0),   Block(2, 0, {1, 0}, 0),
                                    Block(2, 0, {0, 1}, 0),   Block(2, 0, {0, 0}, 1),
                                    Block(2, 0, {0, 0}, 0, 1)};
  wrong.insert(wrong.end(), 3, due);
  wrong[7].epoch = kEpoch - 1;
  wrong[8].length += 4;
  wrong[9].kind = FrameKind::kTile;
  for (const FrameHeader& header : wrong) {
    const absl::Status status = sum_->BufferFor(kChannel, header).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << Describe(header);
  }
  Deliver(due, 1);
  EXPECT_EQ(sum_->BufferFor(kChannel, due).status().code(), absl::StatusCode::kInvalidArgument)
      << "a duplicate";
}

TEST_F(GradientSumTest, ASlotIsGrantedAgainWhenItsBlockIsLanded) {
  Begin(TestPlan(1));
  Turn start;
  sum_->Start(start);
  ASSERT_EQ(start.actions.size(), 1u);
  EXPECT_EQ(std::get<GrantAction>(start.actions[0]).credit.slots[kLarge], 1);

  Deliver(Block(2, 0, {0, 0}, 0), 1);
  Land(Block(0, 0, {0, 0}, 0), 1);
  const FrameHeader next = Block(0, 1, {0, 0}, 0);
  EXPECT_EQ(sum_->BufferFor(kChannel, next).status().code(), absl::StatusCode::kResourceExhausted)
      << "its peer was granted one large slot";
  std::vector<GrantAction> grants;
  ASSERT_TRUE(RunLane(&grants).ok());
  ASSERT_EQ(grants.size(), 1u);
  EXPECT_EQ(grants[0].channel, kChannel);
  EXPECT_EQ(grants[0].kind, FrameKind::kGradient);
  EXPECT_EQ(grants[0].credit.slots[kSmall], 0);
  EXPECT_EQ(grants[0].credit.slots[kLarge], 1);
  Deliver(next, 1);
}

TEST_F(GradientSumTest, DamagedWeightsDoNotComplete) {
  Begin(TestPlan(1));
  Tile(1).weights()[2] = 1;
  Land(Block(2, 0, {0, 0}, 0), 1);
  EXPECT_EQ(RunLane().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(Tile(1).damaged());
  Deliver(Block(0, 0, {0, 0}, 0), 1);
  Deliver(Block(0, 1, {0, 0}, 0), 1);
  EXPECT_FALSE(sum_->complete());
}

// The vector, or everything, is not trained.
TEST_F(GradientSumTest, WithoutGradientsATileIsDone) {
  Plan plan = TestPlan(1);
  plan.parameters[1].trained = false;
  plan.parameters[1].contributions = 0;
  std::erase_if(plan.program.gradient_stream, [](const GradientItem& g) { return g.tile == 2; });
  Begin(plan);
  for (const uint64_t step : {0, 1}) {
    EXPECT_FALSE(sum_->complete());
    Deliver(Block(0, 0, {0, 0}, 0, step), 1);
    Deliver(Block(0, 1, {0, 0}, 0, step), 1);
    ASSERT_TRUE(sum_->complete());
    EXPECT_EQ(sum_->square_sums()[1], 0);
    EXPECT_FALSE(sum_->HasBlocks(1));
    sum_->BeginStep();
    for (int local : {0, 1}) Tile(local).Stamp(step + 1, serial_);
  }
  plan.parameters[0].trained = false;
  plan.parameters[0].contributions = 0;
  plan.program.gradient_stream.clear();
  Begin(plan);
  EXPECT_TRUE(sum_->complete());
  EXPECT_THAT(sum_->square_sums(), ElementsAre(0, 0));
}

// Process 1 holds tile 1, and fills tiles 0 and 2: it sums their gradients, too, though the copy of
// their weights is not here yet.
TEST_F(GradientSumTest, WhatIsBeingFilledIsSummedBesideWhatIsOwned) {
  Begin(TestPlan(1), 0, 1);
  ASSERT_EQ(store_->tiles().size(), 3u);
  const auto deliver = [&](int tile, int contribution) {
    const FrameHeader header = Block(tile, contribution, {0, 0}, 0);
    const auto buffer = sum_->BufferFor(1, header);
    ASSERT_TRUE(buffer.ok());
    sum_->Land(sum_->OnFrame(1, header, buffer->data()), turn_);
    ASSERT_TRUE(RunLane().ok());
  };
  for (const GradientItem& item : plan_.program.gradient_stream) {
    EXPECT_FALSE(sum_->complete());
    deliver(item.tile, item.contribution);
  }
  EXPECT_TRUE(sum_->complete());
  for (int local : {0, 1, 2}) EXPECT_TRUE(Tile(local).HasGradient(0));
}

}  // namespace
}  // namespace waferstream
