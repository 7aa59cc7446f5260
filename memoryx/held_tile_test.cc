#include "memoryx/held_tile.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <optional>
#include <vector>

#include "base/worker_pool.h"
#include "core/fault.h"
#include "memoryx/tile_math.h"
#include "plan/optimizer_state.h"

namespace waferstream {
namespace {

constexpr int64_t kElements = 2 * kPieceElements + 5;  // three pieces, the last one small

class HeldTileTest : public testing::Test {
 protected:
  HeldTileTest() {
    plan_.job.mutable_training()->set_steps(9);
    AdamW* adamw = plan_.job.mutable_training()->mutable_optimizer()->mutable_adamw();
    adamw->set_beta1(0.9);
    adamw->set_beta2(0.95);
    adamw->set_eps(1e-8);
    plan_.parameters.push_back({.name = "w", .prefix = "", .rows = kElements, .cols = 1});
    plan_.tiles.push_back({.rows = kElements, .elements = kElements, .shard = 4});
    const std::vector<OptimizerState> states = StatesOf(plan_)[0];
    memory_.resize(HeldTile::Bytes(plan_.tiles[0], states) / sizeof(float));
    for (size_t i = 0; i < memory_.size(); ++i) memory_[i] = 0.5f + static_cast<float>(i % 97);
    gradient_.assign(kElements, 0.25f);
    tile_.emplace(plan_, 0, states, reinterpret_cast<std::byte*>(memory_.data()));
    tile_->Stamp(7, pool_);
    tile_->SetGradient(7, gradient_.data());
  }

  absl::Status Update() {
    return tile_->Update(plan_.job.training().optimizer(), {7, 1.0, 0.1}, pool_);
  }
  void Flip(size_t element) { reinterpret_cast<uint32_t&>(memory_[element]) ^= 1; }

  Plan plan_;
  WorkerPool pool_{3};
  std::vector<float> memory_, gradient_;
  std::optional<HeldTile> tile_;
};

TEST_F(HeldTileTest, AnUpdateIsThePlainOneAndLeavesASoundTile) {
  std::vector<float> plain = memory_;
  std::byte* const states[] = {reinterpret_cast<std::byte*>(plain.data() + kElements),
                               reinterpret_cast<std::byte*>(plain.data() + 2 * kElements)};
  Serial serial;
  ApplyUpdate(plan_.job.training().optimizer(), {7, 1.0, 0.1},
              {kElements, false, gradient_.data(), plain.data(), states}, serial);
  ASSERT_TRUE(Update().ok());
  EXPECT_EQ(memory_, plain);
  EXPECT_EQ(tile_->version(), 8u);
  EXPECT_TRUE(tile_->Check(serial).ok());
  EXPECT_FALSE(tile_->damaged());
}

TEST_F(HeldTileTest, FindsABitInEveryPieceOfEveryArray) {
  for (const size_t array : {0, 1, 2}) {
    for (const size_t at : {size_t{0}, kPieceElements - 1, kPieceElements, size_t{kElements - 1}}) {
      Flip(array * kElements + at);
      EXPECT_FALSE(tile_->Check(pool_).ok()) << array << " " << at;
      EXPECT_EQ(tile_->CheckWeights(pool_).ok(), array != 0) << array << " " << at;
      Flip(array * kElements + at);
      EXPECT_TRUE(tile_->Check(pool_).ok());
    }
  }
}

TEST_F(HeldTileTest, ADamagedTileIsNotUpdatedAndNamesItsShard) {
  Flip(kElements + kPieceElements);
  const absl::Status status = Update();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(status.message(),
            "tile 0 (w) of shard 4 is damaged in memory: the checksum of step 7 does not match");
  ASSERT_EQ(FaultOf(status).damaged_shards_size(), 1);
  EXPECT_EQ(FaultOf(status).damaged_shards(0), 4u);
  EXPECT_TRUE(tile_->damaged());
  EXPECT_EQ(tile_->version(), 7u);
}

TEST(HeldTile, WhatIsNotTrainedHasEveryVersion) {
  Plan plan;
  plan.job.mutable_training()->mutable_optimizer()->mutable_adamw()->set_weight_decay(0.1);
  plan.parameters.push_back({.name = "w", .prefix = "", .rows = 2, .cols = 2, .decayed = true});
  plan.parameters[0].trained = false;
  plan.tiles.push_back({.rows = 2, .elements = 4});
  const std::vector<OptimizerState> states = StatesOf(plan)[0];
  EXPECT_EQ(HeldTile::Bytes(plan.tiles[0], states), 64u) << "weights only";
  std::vector<float> memory(16, 3);
  HeldTile tile(plan, 0, states, reinterpret_cast<std::byte*>(memory.data()));
  Serial serial;
  tile.Stamp(0, serial);
  for (const uint64_t step : {0, 1, 2}) {
    EXPECT_TRUE(tile.HasGradient(step));
    ASSERT_TRUE(tile.Update(plan.job.training().optimizer(), {step, 1.0, 0.1}, serial).ok());
    EXPECT_EQ(tile.version(), step + 1);
    EXPECT_TRUE(tile.Check(serial).ok());
  }
  EXPECT_EQ(memory, std::vector<float>(16, 3));
}

// Moments in bf16, and a number for each column: other bytes and other pieces than the weights'.
TEST(HeldTile, StatesLieAsTheyAreDescribed) {
  constexpr size_t kColumns = 3, kRows = kPieceElements + 1;
  Plan plan;
  plan.parameters.push_back({.name = "w", .prefix = "", .rows = kRows, .cols = kColumns});
  plan.tiles.push_back({.rows = kRows, .elements = kRows * kColumns});
  const std::vector<OptimizerState> states = {{.name = "m", .dtype = Dtype::kBf16},
                                              {.name = "c", .per_row = false}};
  const size_t c_at = (4 + 2) * kRows * kColumns + 2;  // behind an odd number of bf16
  ASSERT_EQ(c_at % 4, 0u);
  EXPECT_EQ(HeldTile::Bytes(plan.tiles[0], states), (c_at + 4 * kColumns + 63) / 64 * 64);
  std::vector<float> memory(HeldTile::Bytes(plan.tiles[0], states) / sizeof(float));
  auto* const bytes = reinterpret_cast<std::byte*>(memory.data());
  HeldTile tile(plan, 0, states, bytes);
  EXPECT_EQ(tile.states()[0], bytes + 4 * kRows * kColumns);
  EXPECT_EQ(tile.states()[1], bytes + c_at);
  EXPECT_EQ(tile.bytes().size(), c_at + 4 * kColumns) << "what a copy carries";
  WorkerPool pool(3);
  tile.Stamp(1, pool);
  const size_t m_at = 4 * kRows * kColumns;
  for (const size_t at :
       {m_at, m_at + 2 * kPieceElements, c_at - 4, c_at, c_at + 4 * kColumns - 1}) {
    bytes[at] ^= std::byte{1};
    EXPECT_FALSE(tile.Check(pool).ok()) << at;
    EXPECT_TRUE(tile.CheckWeights(pool).ok()) << at;
    bytes[at] ^= std::byte{1};
    EXPECT_TRUE(tile.Check(pool).ok()) << at;
  }
}

}  // namespace
}  // namespace waferstream
