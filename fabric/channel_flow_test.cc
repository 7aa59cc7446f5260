#include "fabric/channel_flow.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

namespace waferstream {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kSlots = 3;
constexpr std::array<std::byte, 8> kPayload = {std::byte{1}, std::byte{2}};

ChannelTerms Terms(uint32_t epoch = 7) {
  return {.epoch = epoch, .peer_window = {.slots = {kSlots, 0}}};
}

FrameHeader Tile(uint32_t tile) {
  FrameHeader header;
  header.kind = FrameKind::kTile;
  header.epoch = 7;
  header.tile = tile;
  header.length = kPayload.size();
  return header;
}

HeaderBytes Sealed(ChannelFlow& flow, OutgoingFrame frame) {
  return flow.Seal(frame.header, {frame.payload, frame.header.length});
}

HeaderBytes Leaves(ChannelFlow& flow) { return Sealed(flow, *flow.Next()); }

// Two ends, and what the one gave to leave.
class ChannelFlowTest : public ::testing::Test {
 protected:
  // Of `to`, with as many slots.
  void GrantTo(ChannelFlow& from, ChannelFlow& to, int slots) {
    from.Grant({.slots = {slots, 0}});
    const FrameHeader header = *to.TakeHeader(Leaves(from));
    ASSERT_EQ(header.kind, FrameKind::kCredit);
    ASSERT_TRUE(to.TakeCredit(header).ok());
  }
  FrameHeader Sent(ChannelFlow& from, ChannelFlow& to) { return *to.TakeHeader(Leaves(from)); }

  ChannelFlow up_{Terms()};
  ChannelFlow down_{Terms()};
};

TEST_F(ChannelFlowTest, GrantsAreAddedUpAndOvertakePayloads) {
  GrantTo(down_, up_, 2);
  up_.Send(Tile(4), kPayload.data(), 40, false);
  up_.Grant({.slots = {1, 0}});
  up_.Grant({.slots = {1, 2}});
  const FrameHeader first = Sent(up_, down_);
  EXPECT_EQ(first.kind, FrameKind::kCredit);
  EXPECT_EQ(first.range_lo, 2u);
  EXPECT_EQ(first.tile, 2u);
  const std::optional<OutgoingFrame> second = up_.Next();
  EXPECT_EQ(second->token, 40u);
  EXPECT_EQ(down_.TakeHeader(Sealed(up_, *second))->tile, 4u);
  EXPECT_EQ(up_.Next().has_value(), false);
}

TEST_F(ChannelFlowTest, ASignOfLifeGrantsNothing) {
  up_.SayAlive();
  const FrameHeader header = Sent(up_, down_);
  EXPECT_THAT(down_.TakeCredit(header)->slots, ElementsAre(0, 0));
}

TEST_F(ChannelFlowTest, AFrameThatIsMissingOrComesTwiceIsNoticed) {
  GrantTo(down_, up_, 2);
  up_.Send(Tile(0), kPayload.data(), 0, false);
  up_.Send(Tile(1), kPayload.data(), 1, false);
  const HeaderBytes lost = Leaves(up_);
  EXPECT_THAT(std::string(down_.TakeHeader(Leaves(up_)).status().message()),
              HasSubstr("frame 2 arrived where frame 1 was due"));
  ASSERT_TRUE(down_.TakeHeader(lost).ok());
  EXPECT_EQ(down_.TakeHeader(lost).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(ChannelFlowTest, FramesAreOfTheProtocolThatWasAgreedOn) {
  ChannelTerms next = Terms();
  next.protocol = 2;
  ChannelFlow one{next}, other{next};
  one.SayAlive();
  up_.SayAlive();
  const HeaderBytes frame = Leaves(one);
  EXPECT_EQ(frame[4], std::byte{2});
  EXPECT_TRUE(other.TakeHeader(frame).ok());
  EXPECT_EQ(other.TakeHeader(Leaves(up_)).status(),
            absl::FailedPreconditionError("a frame of protocol 1 on a channel of protocol 2"));
}

TEST_F(ChannelFlowTest, AnotherEpochsFrameIsRefused) {
  ChannelFlow later{Terms(8)};
  up_.SayAlive();
  EXPECT_EQ(later.TakeHeader(Leaves(up_)).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ChannelFlowTest, OnlyWhereMemoryIsSharedIsItSpokenOf) {
  ChannelFlow shared{Terms(), true};
  for (const FrameKind kind : {FrameKind::kReturn, FrameKind::kSegment}) {
    FrameHeader header = up_.Blank(kind);
    const HeaderBytes bytes = up_.Seal(header, {});
    EXPECT_TRUE(shared.TakeHeader(bytes).ok());
    EXPECT_THAT(std::string(down_.TakeHeader(bytes).status().message()),
                HasSubstr("on a channel that shares no memory"));
  }
}

TEST_F(ChannelFlowTest, ASecondHelloIsRefused) {
  FrameHeader hello = Tile(0);
  hello.kind = FrameKind::kHello;
  hello.sequence = 1;
  EXPECT_EQ(down_.TakeHeader(Encode(hello)).status().code(), absl::StatusCode::kInvalidArgument);
}

// The window counts what is not used and what has not been seen to leave.
TEST_F(ChannelFlowTest, WhoGrantsBeyondItsWindowIsRefused) {
  GrantTo(down_, up_, kSlots);
  for (uint32_t i = 0; i < kSlots; ++i) up_.Send(Tile(i), kPayload.data(), i, false);
  GrantTo(down_, up_, kSlots);  // they have arrived there, but their leaving was not seen here
  for (int i = 0; i < kSlots; ++i) up_.Next();
  down_.Grant({.slots = {1, 0}});
  const FrameHeader more = Sent(down_, up_);
  EXPECT_THAT(std::string(up_.TakeCredit(more).status().message()),
              HasSubstr("granted 1 slots beyond its window of 3"));
  up_.OnLeft();
  EXPECT_TRUE(up_.TakeCredit(more).ok());
}

TEST_F(ChannelFlowTest, AGrantThatWasChangedIsNoticed) {
  down_.Grant({.slots = {1, 0}});
  FrameHeader header = Sent(down_, up_);
  ++header.tile;
  EXPECT_EQ(up_.TakeCredit(header).status().code(), absl::StatusCode::kDataLoss);
  header.length = 1;
  EXPECT_EQ(up_.TakeCredit(header).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ChannelFlowTest, APayloadThatWasChangedIsNoticed) {
  GrantTo(down_, up_, 1);
  up_.Send(Tile(0), kPayload.data(), 0, false);
  const FrameHeader header = Sent(up_, down_);
  std::array<std::byte, 8> payload = kPayload;
  EXPECT_TRUE(ChannelFlow::CheckPayload(header, payload.data()).ok());
  payload[7] ^= std::byte{1};
  EXPECT_EQ(ChannelFlow::CheckPayload(header, payload.data()).code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace waferstream
