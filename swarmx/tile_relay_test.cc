#include "swarmx/tile_relay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "plan/pass.h"
#include "swarmx/test_tree.h"

namespace waferstream {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint32_t kEpoch = 6;
constexpr uint64_t kTokenBase = 1000;

class TileRelayTest : public testing::Test {
 protected:
  void Begin(uint64_t start_step = 0) {
    turn_.actions.clear();
    const TreeNode& node = plan_.tree_nodes[0];
    memory_.assign(TileRelay::ResidentBytes(plan_, node), std::byte{0});
    relay_.emplace(plan_, node, kEpoch, start_step, kTokenBase, memory_, &traffic_);
  }
  // The nth tile of the stream, from the plan: forward 0, 1, 2, backward 2, 1, 0, and again.
  FrameHeader Frame(int n) const {
    constexpr int kTiles[] = {0, 1, 2, 2, 1, 0};
    FrameHeader header;
    header.pass = static_cast<uint8_t>(n % 6 < 3 ? PassKind::kForward : PassKind::kBackward);
    header.epoch = kEpoch;
    header.step = static_cast<uint64_t>(n) / 6;
    header.tile = static_cast<uint32_t>(kTiles[n % 6]);
    header.length = 4 * plan_.tiles[header.tile].elements;
    return header;
  }
  // On the channel of its primary; the payload is all n.
  void Receive(int n) {
    const FrameHeader header = Frame(n);
    const ChannelId channel =
        plan_.Primary(static_cast<int>(header.tile)) == 0 ? kParent0 : kParent1;
    const auto buffer = relay_->BufferFor(channel, header);
    ASSERT_TRUE(buffer.ok()) << n << ": " << buffer.status();
    ASSERT_EQ(buffer->size(), header.length);
    std::fill(buffer->begin(), buffer->end(), static_cast<std::byte>(n));
    relay_->OnFrame(channel, header, buffer->data(), turn_);
  }
  void Grant(ChannelId child, int small, int large) {
    relay_->OnCredit(child, {{small, large}}, turn_);
  }
  // What was sent to this child since the last look; the numbers of the tiles, checked.
  std::vector<int> SentTo(ChannelId child) {
    std::vector<int> numbers;
    std::erase_if(turn_.actions, [&](const Action& action) {
      const auto* send = std::get_if<SendAction>(&action);
      if (send == nullptr || send->channel != child) return false;
      const int n = static_cast<int>(*send->payload);
      const auto all =
          std::count(send->payload, send->payload + send->header.length, *send->payload);
      EXPECT_EQ(static_cast<uint64_t>(all), send->header.length);
      EXPECT_EQ(Encode(send->header), Encode(Frame(n)));
      tokens_.push_back({child, send->token});
      numbers.push_back(n);
      return true;
    });
    return numbers;
  }
  // The fabric is done with the oldest tile that SentTo saw for this child.
  void LetGo(ChannelId child) {
    const auto at = std::find_if(tokens_.begin(), tokens_.end(),
                                 [&](const auto& sent) { return sent.first == child; });
    ASSERT_NE(at, tokens_.end());
    const uint64_t token = at->second;
    tokens_.erase(at);
    relay_->OnSent(static_cast<int>(token - kTokenBase), turn_);
  }
  // Granted to this parent since the last look: small, large.
  std::pair<int, int> GrantedTo(ChannelId parent) {
    return TakeGrants(turn_, parent, FrameKind::kTile);
  }

  Plan plan_ = TestTree(2);
  std::vector<std::byte> memory_;
  TrafficCounters traffic_;
  std::optional<TileRelay> relay_;
  Turn turn_;
  std::vector<std::pair<ChannelId, uint64_t>> tokens_;
};

const std::pair<int, int> kNoGrant = {0, 0};

TEST_F(TileRelayTest, StartsByGrantingEachParentItsWindow) {
  Begin();
  relay_->Start(turn_);
  EXPECT_EQ(GrantedTo(kParent0), std::make_pair(1, 2));
  EXPECT_EQ(GrantedTo(kParent1), std::make_pair(1, 2));
  EXPECT_THAT(turn_.actions, IsEmpty());
}

TEST_F(TileRelayTest, ChildrenGetTilesInPlanOrderWhateverParentIsFirst) {
  Begin();
  Grant(kChild0, 9, 9);
  Grant(kChild1, 9, 9);
  Receive(1);  // process 1 is ahead
  EXPECT_THAT(SentTo(kChild0), IsEmpty());
  Receive(0);
  EXPECT_THAT(SentTo(kChild0), ElementsAre(0, 1));
  EXPECT_THAT(SentTo(kChild1), ElementsAre(0, 1));
  Receive(4);  // after 2 and 3, which are process 0's
  EXPECT_THAT(SentTo(kChild0), IsEmpty());
  Receive(2);
  EXPECT_THAT(SentTo(kChild0), ElementsAre(2));
  EXPECT_EQ(traffic_.weight_bytes_in(), 2 * 80u + 12);
  EXPECT_EQ(traffic_.weight_bytes_out(), 4 * 80u + 12 + 12);
}

TEST_F(TileRelayTest, WhatIsLentIsLentOnAndReturnedWhenEveryChildHasReturnedIt) {
  Begin();
  Grant(kChild0, 9, 9);
  Grant(kChild1, 9, 9);
  FrameHeader header = Frame(0);
  header.sequence = 17;
  const std::vector<std::byte> elsewhere(header.length);
  ASSERT_TRUE(relay_->BufferFor(kParent0, header).ok());
  relay_->OnFrame(kParent0, header, elsewhere.data(), turn_);
  std::vector<SendAction> sends;
  for (const Action& action : std::exchange(turn_.actions, {})) {
    sends.push_back(std::get<SendAction>(action));
    EXPECT_EQ(sends.back().payload, elsewhere.data());
    EXPECT_TRUE(sends.back().lend);
  }
  ASSERT_EQ(sends.size(), 2u);
  relay_->OnSent(static_cast<int>(sends[0].token - kTokenBase), turn_);
  EXPECT_THAT(turn_.actions, IsEmpty());
  relay_->OnSent(static_cast<int>(sends[1].token - kTokenBase), turn_);
  ASSERT_EQ(turn_.actions.size(), 2u);
  EXPECT_EQ(std::get<ReturnAction>(turn_.actions[0]).sequence, 17u);
  EXPECT_EQ(GrantedTo(kParent0), std::make_pair(0, 1));
}

// Of each parent: two large slots and a small one.
TEST_F(TileRelayTest, OneSlotOfAClassIsNeverLent) {
  Begin();
  Grant(kChild0, 9, 9);
  Grant(kChild1, 9, 9);
  const auto lends = [&] {
    std::vector<bool> lent;
    for (const Action& action : std::exchange(turn_.actions, {})) {
      lent.push_back(std::get<SendAction>(action).lend);
    }
    return lent;
  };
  Receive(0);
  EXPECT_THAT(lends(), ElementsAre(true, true));
  Receive(1);
  EXPECT_THAT(lends(), ElementsAre(true, true));
  Receive(2);
  EXPECT_THAT(lends(), ElementsAre(false, false));
}

TEST_F(TileRelayTest, ASlotIsGrantedAgainWhenEveryChildIsDoneWithIt) {
  Begin();
  Grant(kChild0, 9, 9);
  Grant(kChild1, 9, 0);
  Receive(0);
  EXPECT_THAT(SentTo(kChild0), ElementsAre(0));
  LetGo(kChild0);
  EXPECT_EQ(GrantedTo(kParent0), kNoGrant) << "child 1 has no slot for it yet";
  Grant(kChild1, 0, 1);
  EXPECT_THAT(SentTo(kChild1), ElementsAre(0));
  EXPECT_EQ(GrantedTo(kParent0), kNoGrant) << "the fabric still reads it";
  LetGo(kChild1);
  EXPECT_EQ(GrantedTo(kParent0), std::make_pair(0, 1));
  EXPECT_EQ(GrantedTo(kParent1), kNoGrant);
}

TEST_F(TileRelayTest, ASlowChildKeepsItsPlace) {
  for (const ChannelId slow : {kChild0, kChild1}) {
    SCOPED_TRACE(slow);
    const ChannelId fast = slow == kChild0 ? kChild1 : kChild0;
    Begin();
    Grant(fast, 9, 9);
    for (int n : {0, 1, 2}) Receive(n);
    EXPECT_THAT(SentTo(fast), ElementsAre(0, 1, 2));
    Grant(slow, 9, 1);
    EXPECT_THAT(SentTo(slow), ElementsAre(0)) << "the small tile does not overtake";
    Grant(slow, 0, 1);
    EXPECT_THAT(SentTo(slow), ElementsAre(1, 2));
    EXPECT_THAT(SentTo(fast), IsEmpty()) << "nothing comes twice";
  }
}

// The whole job, as far behind as the windows let it.
TEST_F(TileRelayTest, AChildMayBeFarBehind) {
  for (Channel& channel : plan_.channels) channel.tile_window = {{12, 12}};
  for (const ChannelId slow : {kChild0, kChild1}) {
    Begin();
    Grant(slow == kChild0 ? kChild1 : kChild0, 12, 12);
    for (int n = 0; n < 12; ++n) Receive(n);
    Grant(slow, 12, 12);
    EXPECT_THAT(SentTo(slow), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
  }
}

TEST_F(TileRelayTest, AWindowThatIsFullTakesNoMore) {
  Begin();
  Receive(0);
  Receive(2);
  const absl::Status third = relay_->BufferFor(kParent0, Frame(3)).status();
  EXPECT_EQ(third.code(), absl::StatusCode::kResourceExhausted) << "one small slot";
  // The refused frame is still due.
  Grant(kChild0, 9, 9);
  Grant(kChild1, 9, 9);
  Receive(1);
  SentTo(kChild0), SentTo(kChild1);
  for (int i = 0; i < 3; ++i) LetGo(kChild0), LetGo(kChild1);
  Receive(3);
  EXPECT_THAT(SentTo(kChild1), ElementsAre(3));
}

TEST_F(TileRelayTest, StreamsAWholeJobAndNoTileMore) {
  Begin();
  for (int n = 0; n < 12; ++n) {
    Grant(kChild0, 1, 1);
    Grant(kChild1, 1, 1);
    Receive(n);
    for (const ChannelId child : {kChild0, kChild1}) {
      EXPECT_THAT(SentTo(child), ElementsAre(n));
      LetGo(child);
    }
  }
  for (const ChannelId parent : {kParent0, kParent1}) {
    EXPECT_THAT(std::string(relay_->BufferFor(parent, Frame(11)).status().message()),
                HasSubstr("after the last one of the job"));
  }
}

TEST_F(TileRelayTest, BeginsAtTheStepOfItsEpoch) {
  Begin(1);
  EXPECT_FALSE(relay_->BufferFor(kParent0, Frame(0)).ok());
  Grant(kChild0, 1, 1);
  Receive(6);
  EXPECT_THAT(SentTo(kChild0), ElementsAre(6));
}

TEST_F(TileRelayTest, WhatIsNotDueIsRefusedAndTakesNoSlot) {
  Begin();
  std::vector<FrameHeader> wrong = {Frame(1), Frame(2), Frame(5), Frame(6)};
  wrong.insert(wrong.end(), 3, Frame(0));
  wrong[4].epoch = kEpoch - 1;
  wrong[5].length -= 4;
  wrong[6].kind = FrameKind::kGradient;
  for (const FrameHeader& header : wrong) {
    EXPECT_EQ(relay_->BufferFor(kParent0, header).status().code(),
              absl::StatusCode::kInvalidArgument)
        << Describe(header);
  }
  Receive(0);
  EXPECT_EQ(relay_->BufferFor(kParent0, Frame(0)).status().code(),
            absl::StatusCode::kInvalidArgument)
      << "a duplicate";
}

// Below the root, one parent sends the tiles of all.
TEST_F(TileRelayTest, ANodeWithOneParentTakesEveryTileFromIt) {
  plan_.channels[kParent0].up = {SWARMX, 0, 1};
  plan_.tree_nodes[0].up_channels = {kParent0};
  Begin();
  Grant(kChild0, 9, 9);
  for (int n : {0, 1, 2}) {
    const auto buffer = relay_->BufferFor(kParent0, Frame(n));
    ASSERT_TRUE(buffer.ok()) << buffer.status();
    std::fill(buffer->begin(), buffer->end(), static_cast<std::byte>(n));
    relay_->OnFrame(kParent0, Frame(n), buffer->data(), turn_);
  }
  EXPECT_THAT(SentTo(kChild0), ElementsAre(0, 1, 2));
}

}  // namespace
}  // namespace waferstream
