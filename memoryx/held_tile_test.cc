#include "memoryx/held_tile.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "base/worker_pool.h"
#include "core/fault.h"
#include "memoryx/tile_math.h"

namespace waferstream {
namespace {

constexpr int64_t kElements = 2 * kPieceElements + 5;  // three pieces, the last one small
constexpr int kStates = 2;

class HeldTileTest : public testing::Test {
 protected:
  HeldTileTest() {
    AdamW* adamw = plan_.job.mutable_training()->mutable_optimizer()->mutable_adamw();
    adamw->set_beta1(0.9);
    adamw->set_beta2(0.95);
    adamw->set_eps(1e-8);
    plan_.parameters.push_back({.name = "w", .prefix = "", .rows = kElements, .cols = 1});
    plan_.tiles.push_back({.rows = kElements, .elements = kElements, .shard = 4});
    memory_.resize(HeldTile::Floats(plan_.tiles[0], kStates));
    for (size_t i = 0; i < memory_.size(); ++i) memory_[i] = 0.5f + static_cast<float>(i % 97);
    gradient_.assign(kElements, 0.25f);
    tile_.emplace(plan_, 0, kStates, memory_.data());
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
  float* const states[] = {plain.data() + kElements, plain.data() + 2 * kElements};
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

}  // namespace
}  // namespace waferstream
