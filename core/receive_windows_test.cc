#include "core/receive_windows.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <utility>
#include <vector>

namespace waferstream {
namespace {

constexpr size_t kSmallBytes = 100, kLargeBytes = 300;  // padded: 128 and 320
constexpr int kSmallTile = 0, kLargeTile = 1;

// Channels 0 to 2 with windows that differ in each direction; channel 1 has none for gradients.
Plan PlanOfThree() {
  Plan plan;
  plan.tiles = {{.slot = kSmall}, {.slot = kLarge}};
  plan.tile_slot_bytes[kSmall] = kSmallBytes;
  plan.tile_slot_bytes[kLarge] = kLargeBytes;
  plan.gradient_slot_bytes[kSmall] = 2 * kSmallBytes;  // padded: 256 and 640
  plan.gradient_slot_bytes[kLarge] = 2 * kLargeBytes;
  for (int id = 0; id < 3; ++id) {
    Channel& channel = plan.channels.emplace_back();
    channel.id = id;
    channel.tile_window = {{id + 1, 2}};
    if (id != 1) channel.gradient_window = {{1, id + 1}};
  }
  return plan;
}

struct Grant {
  ChannelId channel;
  FrameKind kind;
  int small, large;
  friend bool operator==(const Grant&, const Grant&) = default;
};

std::vector<Grant> GrantsOf(const Turn& turn) {
  std::vector<Grant> grants;
  for (const Action& action : turn.actions) {
    const auto& grant = std::get<GrantAction>(action);
    grants.push_back(
        {grant.channel, grant.kind, grant.credit.slots[kSmall], grant.credit.slots[kLarge]});
  }
  return grants;
}

TEST(ReceiveWindows, BytesAreThePaddedSlotsOfTheDirection) {
  const Plan plan = PlanOfThree();
  EXPECT_EQ(ReceiveWindows::Bytes(plan, FrameKind::kTile, {0, 2}), (1 + 3) * 128u + 4 * 320u);
  EXPECT_EQ(ReceiveWindows::Bytes(plan, FrameKind::kGradient, {0, 2}), 2 * 256u + (1 + 3) * 640u);
  EXPECT_EQ(ReceiveWindows::Bytes(plan, FrameKind::kGradient, {1}), 0u);
  EXPECT_EQ(ReceiveWindows::Bytes(plan, FrameKind::kTile, {}), 0u);
}

class ReceiveWindowsTest : public testing::Test {
 protected:
  ReceiveWindows Make(FrameKind kind, std::vector<ChannelId> channels) {
    memory_.resize(ReceiveWindows::Bytes(plan_, kind, channels));
    return ReceiveWindows(plan_, kind, std::move(channels), memory_);
  }

  const Plan plan_ = PlanOfThree();
  std::vector<std::byte> memory_;
};

TEST_F(ReceiveWindowsTest, GrantsEveryWindowThatHasSlots) {
  Turn tiles, gradients;
  Make(FrameKind::kTile, {2, 0}).Start(tiles);
  EXPECT_EQ(GrantsOf(tiles),
            (std::vector<Grant>{{2, FrameKind::kTile, 3, 2}, {0, FrameKind::kTile, 1, 2}}));
  Make(FrameKind::kGradient, {0, 1, 2}).Start(gradients);
  EXPECT_EQ(GrantsOf(gradients),
            (std::vector<Grant>{{0, FrameKind::kGradient, 1, 1}, {2, FrameKind::kGradient, 1, 3}}));
}

TEST_F(ReceiveWindowsTest, APortIsAChannelsPlace) {
  const ReceiveWindows windows = Make(FrameKind::kTile, {2, 0});
  EXPECT_EQ(windows.PortOf(2), 0);
  EXPECT_EQ(windows.PortOf(0), 1);
}

TEST_F(ReceiveWindowsTest, AForeignChannelAborts) {
  const ReceiveWindows windows = Make(FrameKind::kTile, {2, 0});
  EXPECT_DEATH(windows.PortOf(1), "receive_windows.cc");
  EXPECT_DEATH(windows.PortOf(7), "receive_windows.cc");
}

TEST_F(ReceiveWindowsTest, EverySlotIsTakenOnceAndLiesApart) {
  ReceiveWindows windows = Make(FrameKind::kTile, {0, 1, 2});
  std::set<std::pair<std::byte*, size_t>> taken;
  for (int port = 0; port < 3; ++port) {
    for (const int tile : {kSmallTile, kLargeTile}) {
      const int slots = tile == kSmallTile ? port + 1 : 2;
      for (int i = 0; i < slots; ++i) {
        const auto slot = windows.Take(port, tile);
        ASSERT_TRUE(slot.ok()) << slot.status();
        EXPECT_EQ(windows.slot_class(*slot), tile == kSmallTile ? kSmall : kLarge);
        taken.insert({windows.bytes(*slot), tile == kSmallTile ? 128 : 320});
      }
      EXPECT_EQ(windows.Take(port, tile).status().code(), absl::StatusCode::kResourceExhausted);
    }
  }
  ASSERT_EQ(taken.size(), static_cast<size_t>(windows.size()));
  const std::byte* end = memory_.data();  // without gaps, to the last byte
  for (const auto& [bytes, size] : taken) {
    EXPECT_EQ(bytes, end);
    end = bytes + size;
  }
  EXPECT_EQ(end, memory_.data() + memory_.size());
}

TEST_F(ReceiveWindowsTest, WhatIsReleasedIsGrantedToItsChannelAndTakenAgain) {
  ReceiveWindows windows = Make(FrameKind::kGradient, {0, 2});
  const int large = *windows.Take(1, kLargeTile), small = *windows.Take(0, kSmallTile);
  EXPECT_FALSE(windows.Take(0, kSmallTile).ok());
  Turn turn;
  windows.Release(large, turn);
  windows.Release(small, turn);
  EXPECT_EQ(GrantsOf(turn),
            (std::vector<Grant>{{2, FrameKind::kGradient, 0, 1}, {0, FrameKind::kGradient, 1, 0}}));
  EXPECT_EQ(*windows.Take(0, kSmallTile), small);
  EXPECT_EQ(*windows.Take(1, kLargeTile), large);
}

TEST_F(ReceiveWindowsTest, WhatIsLentIsReturnedOnceAndBeforeItsSlotIsGranted) {
  ReceiveWindows windows = Make(FrameKind::kGradient, {0, 2});
  const int slot = *windows.Take(1, kLargeTile), own = *windows.Take(0, kSmallTile);
  FrameHeader header;
  header.sequence = 7;
  const std::byte elsewhere{};
  windows.Arrived(slot, header, &elsewhere);
  windows.Arrived(own, header, windows.bytes(own));
  EXPECT_EQ(windows.payload(slot), &elsewhere);
  EXPECT_EQ(windows.payload(own), windows.bytes(own));
  Turn turn;
  windows.Return(slot, turn);
  windows.Return(own, turn);
  ASSERT_EQ(turn.actions.size(), 1u);
  const auto& done = std::get<ReturnAction>(turn.actions[0]);
  EXPECT_EQ(done.channel, 2);
  EXPECT_EQ(done.kind, FrameKind::kGradient);
  EXPECT_EQ(done.sequence, 7u);
  EXPECT_EQ(windows.payload(slot), windows.bytes(slot)) << "the slot's own from now on";
  windows.Arrived(slot, header, &elsewhere);
  turn.actions.clear();
  windows.Release(slot, turn);
  ASSERT_EQ(turn.actions.size(), 2u);
  EXPECT_TRUE(std::holds_alternative<ReturnAction>(turn.actions[0]));
  EXPECT_TRUE(std::holds_alternative<GrantAction>(turn.actions[1]));
}

TEST_F(ReceiveWindowsTest, ASlotIsReleasedOnlyOnce) {
  ReceiveWindows windows = Make(FrameKind::kTile, {0});
  const int slot = *windows.Take(0, kLargeTile);
  Turn turn;
  windows.Release(slot, turn);
  EXPECT_DEATH(windows.Release(slot, turn), "slot_pool.cc");
}

TEST_F(ReceiveWindowsTest, OtherFramesHaveNoWindow) {
  EXPECT_DEATH(ReceiveWindows::Bytes(plan_, FrameKind::kHello, {0}), "receive_windows.cc");
}

}  // namespace
}  // namespace waferstream
