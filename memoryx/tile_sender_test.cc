#include "memoryx/tile_sender.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/status.h"
#include "memoryx/test_plan.h"
#include "plan/pass.h"

namespace waferstream {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr ChannelId kChannel = 0;
constexpr uint32_t kEpoch = 6;
constexpr Credit kAmple = {{50, 50}};

Plan Bf16Plan(int waves) {
  Plan plan = TestPlan(waves);
  plan.wire = Dtype::kBf16;
  for (size_t& bytes : plan.tile_slot_bytes) bytes /= 2;
  return plan;
}

// Process 0 of TestPlan: streams tile 0 (large) before tile 2 (small) forward, and back. Weights
// are 1; every commit takes 1 off them.
class TileSenderTest : public testing::Test {
 protected:
  void Begin(Plan plan, uint64_t start_step = 0) {
    plan_ = std::move(plan);
    auto shard = *ShardMemory::Create(plan_, 0, nullptr);
    ASSERT_TRUE(shard->MakeGradientBuffers(plan_, 1).ok());
    shard->BeginAt(start_step);
    for (HeldTile& tile : shard->tiles()) {
      std::fill_n(tile.weights(), tile.elements(), 1.f);
      tile.Stamp(start_step, serial_);
    }
    store_.emplace(plan_, 0, TileStore::Shards{shard});
    updates_.emplace(plan_, start_step, *store_);
    const MemoryxPlace place = {.process = 0, .epoch = kEpoch, .start_step = start_step};
    sender_ = *TileSender::Create(plan_, place, *store_, *updates_, lanes_, traffic_);
  }

  void Grant(Credit credit, ChannelId channel = kChannel) {
    sender_->OnCredit(channel, credit);
    Pump();
  }
  void Pump() {
    sender_->Pump(turn_);
    Collect();
  }
  void Collect() {
    for (const Action& action : std::exchange(turn_.actions, {})) {
      if (const auto* send = std::get_if<SendAction>(&action)) {
        sends_.push_back(*send);
      } else {
        work_.push_back(std::get<ComputeAction>(action));
      }
    }
  }
  // The lane does its front job, and the core hears of it.
  absl::Status Compute() {
    const ComputeAction job = work_.front();
    work_.erase(work_.begin());
    const absl::Status status = lanes_.OnDone(job.id, job.work(serial_), turn_);
    Collect();
    return status;
  }
  // As the core: whatever has happened, it pumps.
  void ComputeAll() {
    while (!work_.empty()) {
      ASSERT_TRUE(Compute().ok());
      Pump();
    }
  }
  void Commit(uint64_t step) {
    for (int local : {0, 1}) store_->tile(local).SetGradient(step, ones_.data());
    updates_->Commit({.step = step, .clip_factor = 1, .learning_rate = 1});
    Pump();
  }

  // What has been sent since the last call, and let go if so wished; as "f1:0", pass, step and
  // tile.
  std::vector<std::string> Sent(bool let_go = true) {
    std::vector<std::string> names;
    for (const SendAction& send : std::exchange(sends_, {})) {
      names.push_back("fbvg"[send.header.pass] + std::to_string(send.header.step) + ":" +
                      std::to_string(send.header.tile));
      last_sent_.push_back(send);
      if (let_go) sender_->OnSent(send.token);
    }
    return names;
  }
  static float FirstFloat(const SendAction& send) {
    float value;
    std::memcpy(&value, send.payload, sizeof(value));
    return value;
  }

  Plan plan_;
  Serial serial_;
  LaneQueue lanes_;
  TrafficCounters traffic_;
  std::optional<TileStore> store_;
  std::optional<TileUpdates> updates_;
  std::unique_ptr<TileSender> sender_;
  std::vector<float> ones_ = std::vector<float>(kMatrixElements, 1);
  Turn turn_;
  std::vector<SendAction> sends_, last_sent_;
  std::vector<ComputeAction> work_;
};

TEST_F(TileSenderTest, StreamsTheJobInOrderAndWaitsForEachCommit) {
  Begin(TestPlan(1));
  Grant(kAmple);
  EXPECT_THAT(Sent(), ElementsAre("f0:0", "f0:2", "b0:2", "b0:0"));
  EXPECT_THAT(work_, IsEmpty());
  Commit(0);
  ComputeAll();
  EXPECT_THAT(Sent(), ElementsAre("f1:0", "f1:2", "b1:2", "b1:0"));
  EXPECT_TRUE(sender_->done());
  EXPECT_EQ(sender_->streamed(), 8u);
  EXPECT_EQ(traffic_.weight_bytes_out(), 4u * 4 * (kMatrixElements + kVectorElements));
}

TEST_F(TileSenderTest, AFrameSaysAllOfWhatItIs) {
  Begin(TestPlan(2));
  Grant(kAmple);
  ASSERT_EQ(sends_.size(), 8u);
  EXPECT_EQ(sends_[4].channel, kChannel);
  const FrameHeader& header = sends_[4].header;
  EXPECT_EQ(header.kind, FrameKind::kTile);
  EXPECT_EQ(header.epoch, kEpoch);
  EXPECT_EQ(header.wave, 1u);
  EXPECT_EQ(header.length, 4u * kMatrixElements);
  EXPECT_EQ(static_cast<const void*>(sends_[4].payload), store_->tile(0).weights());
}

TEST_F(TileSenderTest, WaitsForASlotOfItsClass) {
  Begin(TestPlan(1));
  Pump();
  EXPECT_THAT(Sent(), IsEmpty());
  Grant({{3, 0}});
  EXPECT_THAT(Sent(), IsEmpty()) << "a small tile must not overtake";
  Grant({{0, 1}});
  EXPECT_THAT(Sent(), ElementsAre("f0:0", "f0:2", "b0:2"));
  Grant({{0, 1}});
  EXPECT_THAT(Sent(), ElementsAre("b0:0"));
}

TEST_F(TileSenderTest, WhatTheFabricReadsInPlaceIsNotUpdated) {
  Begin(TestPlan(1));
  Grant(kAmple);
  EXPECT_THAT(Sent(false), ElementsAre("f0:0", "f0:2", "b0:2", "b0:0"));
  Commit(0);
  EXPECT_THAT(work_, IsEmpty());
  sender_->OnSent(last_sent_[0].token);  // once of two
  Pump();
  EXPECT_THAT(work_, IsEmpty());
  sender_->OnSent(last_sent_[3].token);
  Pump();
  ASSERT_EQ(work_.size(), 1u) << "tile 2 is still read";
  ASSERT_TRUE(Compute().ok());
  ASSERT_THAT(Sent(false), ElementsAre("f1:0"));
  EXPECT_EQ(FirstFloat(last_sent_.back()), 0.f);
  EXPECT_EQ(store_->tile(1).weights()[0], 1.f);
}

TEST_F(TileSenderTest, WhatIsReadySoonerDoesNotOvertake) {
  Begin(TestPlan(1));
  Grant(kAmple);
  Sent();
  Commit(0);
  ASSERT_EQ(work_.size(), 2u);
  std::swap(work_[0], work_[1]);
  ASSERT_TRUE(Compute().ok());
  EXPECT_THAT(Sent(), IsEmpty());
  ASSERT_TRUE(Compute().ok());
  EXPECT_THAT(Sent(), ElementsAre("f1:0", "f1:2"));
}

TEST_F(TileSenderTest, AValidationTakesTheWeightsOfItsStepsCommit) {
  Plan plan = TestPlan(1);
  plan.job.mutable_data()->set_validation("v");
  plan.job.mutable_training()->set_validate_every(2);
  plan.validation_waves = 2;
  Begin(plan, 1);
  Grant(kAmple);
  EXPECT_THAT(Sent(), ElementsAre("f1:0", "f1:2", "b1:2", "b1:0"));
  EXPECT_FALSE(sender_->done());
  Commit(1);
  ComputeAll();
  EXPECT_THAT(Sent(), ElementsAre("v1:0", "v1:2", "v1:0", "v1:2"));
  EXPECT_EQ(FirstFloat(last_sent_.back()), 0.f);
  EXPECT_TRUE(sender_->done());
}

TEST_F(TileSenderTest, AGenerationWaitsForNoCommit) {
  Plan plan = TestPlan(1);
  plan.job.mutable_generate()->set_tokens(2);
  Begin(plan);
  Grant(kAmple);
  EXPECT_THAT(Sent(), ElementsAre("g0:0", "g0:2", "g1:0", "g1:2"));
  EXPECT_TRUE(sender_->done());
}

TEST_F(TileSenderTest, ADamagedTileIsNotSent) {
  Begin(TestPlan(1));
  Grant(kAmple);
  Sent();
  store_->tile(0).weights()[3] = 7;
  Commit(0);
  EXPECT_EQ(Compute().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Sent(), IsEmpty());
}

// 1 + 2^-8 and 1 + 3 * 2^-8 lie half-way between two bf16 values; both go to the even one.
TEST_F(TileSenderTest, Bf16IsRoundedToNearestEven) {
  Begin(Bf16Plan(1));
  store_->tile(0).weights()[1] = 1 + 1.f / 256;
  store_->tile(0).weights()[kMatrixElements - 1] = 1 + 3.f / 256;
  Grant({{0, 1}});
  ComputeAll();
  ASSERT_EQ(sends_.size(), 1u);
  EXPECT_EQ(sends_[0].header.dtype, static_cast<uint8_t>(Dtype::kBf16));
  ASSERT_EQ(sends_[0].header.length, 2u * kMatrixElements);
  uint16_t bits[kMatrixElements];
  std::memcpy(bits, sends_[0].payload, sizeof(bits));
  EXPECT_EQ(bits[0], 0x3f80);
  EXPECT_EQ(bits[1], 0x3f80);
  EXPECT_EQ(bits[kMatrixElements - 1], 0x3f82);
}

TEST_F(TileSenderTest, ASendSlotIsUsedAgainOnlyWhenItsTileHasLeft) {
  Begin(Bf16Plan(3));  // twelve tiles before the commit
  // Slots are whole cache lines.
  EXPECT_EQ(sender_->bytes(), TileSender::kSendSlots * 64u);
  Grant(kAmple);
  EXPECT_EQ(work_.size(), size_t{TileSender::kSendSlots});
  ComputeAll();
  ASSERT_EQ(sends_.size(), size_t{TileSender::kSendSlots});
  std::set<const std::byte*> payloads;
  for (const SendAction& send : sends_) payloads.insert(send.payload);
  EXPECT_EQ(payloads.size(), sends_.size());
  Pump();
  EXPECT_THAT(work_, IsEmpty());
  const SendAction gone = sends_[2];
  sender_->OnSent(gone.token);
  Pump();
  ComputeAll();
  ASSERT_EQ(sends_.size(), TileSender::kSendSlots + 1u);
  EXPECT_EQ(sends_.back().payload, gone.payload);
}

TEST_F(TileSenderTest, AnUpdateDoesNotTouchWhatWasRoundedBefore) {
  Begin(Bf16Plan(1));
  Grant(kAmple);
  ComputeAll();
  EXPECT_THAT(Sent(false), ElementsAre("f0:0", "f0:2", "b0:2", "b0:0"));
  Commit(0);  // the fabric still has all of them
  ComputeAll();
  EXPECT_THAT(Sent(false), ElementsAre("f1:0", "f1:2", "b1:2", "b1:0"));
  for (const SendAction& send : last_sent_) {
    std::vector<uint16_t> bits(send.header.length / 2);
    std::memcpy(bits.data(), send.payload, send.header.length);
    EXPECT_THAT(bits, Each(send.header.step == 0 ? 0x3f80 : 0));
  }
}

TEST_F(TileSenderTest, ChannelsShareTheSlots) {
  Plan plan = Bf16Plan(6);
  plan.tiles[2].plane = 1;
  Channel& other = plan.channels.emplace_back(plan.channels[0]);
  other.id = 4;
  other.plane = 1;
  Begin(plan);
  sender_->OnCredit(4, kAmple);
  Grant(kAmple);
  ComputeAll();
  ASSERT_EQ(sends_.size(), size_t{TileSender::kSendSlots});
  for (const SendAction& send : sends_) {
    EXPECT_EQ(send.header.tile, send.channel == kChannel ? 0u : 2u);
  }
  const auto mine = std::count_if(sends_.begin(), sends_.end(),
                                  [](const SendAction& s) { return s.channel == kChannel; });
  EXPECT_EQ(mine, TileSender::kSendSlots / 2);
}

}  // namespace
}  // namespace waferstream
