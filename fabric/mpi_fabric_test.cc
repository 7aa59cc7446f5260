// The mpi adapter, in one process that is its own peer: MPI needs no launcher for that.
#include "fabric/mpi_fabric.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#define OMPI_SKIP_MPICXX 1
#include <mpi/mpi.h>

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <utility>

#include "fabric/channel_fixture.h"

namespace waferstream {
namespace {

using ::testing::HasSubstr;

// `up_` is the listener's end, `down_` the dialler's.
class MpiFabricTest : public ::testing::Test, public AcceptHandler {
 protected:
  absl::StatusOr<ChannelTerms> Admit(const Hello& theirs) override {
    if (on_admit_ != nullptr) on_admit_();
    if (!not_ready_.ok()) return not_ready_;
    return AdmitSome(theirs, kSlots);
  }
  void OnChannel(const Hello&, std::shared_ptr<ChannelEnd> channel) override {
    up_.channel = std::move(channel);
  }
  void OnRefused(const std::string& line) override { refused_.push_back(line); }

  std::shared_ptr<PendingDial> StartDial(const Hello& hello,
                                         absl::Duration timeout = absl::Seconds(10)) {
    return fabric_->Dial({.host = "here",
                          .port = listener_->port(),
                          .hello = hello,
                          .terms = {.epoch = kEpoch, .peer_window = {{kSlots, 0}}},
                          .timeout = timeout},
                         [this](absl::StatusOr<std::shared_ptr<ChannelEnd>> channel) {
                           dialled_ = channel.status();
                           if (channel.ok()) down_.channel = *channel;
                         });
  }
  void OpenChannel() {
    auto dial = StartDial(SomeHello());
    ASSERT_TRUE(Until([&] { return down_.channel && up_.channel; }));
    up_.channel->Open(up_);
    down_.channel->Open(down_);
  }
  bool Until(const std::function<bool()>& condition) { return RunUntil(io_, condition); }

  void TearDown() override {
    for (End* end : {&up_, &down_}) {
      if (end->channel) end->channel->Close();
    }
    EXPECT_TRUE(
        Until([this] { return (!up_.channel || up_.closed) && (!down_.channel || down_.closed); }));
  }

  static constexpr int kSlots = 4;
  boost::asio::io_context io_;
  std::unique_ptr<Fabric> fabric_ = MakeMpiFabric(io_, [this] { ended_ = true; });
  std::unique_ptr<FabricListener> listener_ = *fabric_->Listen(*this);
  bool ended_ = false;
  End up_;
  End down_;
  absl::Status not_ready_;
  std::function<void()> on_admit_;
  std::optional<absl::Status> dialled_;
  std::vector<std::string> refused_;
};

// Of sizes that MPI sends at once, and of those for which it asks first.
TEST_F(MpiFabricTest, FramesArriveInOrderAndWhole) {
  OpenChannel();
  up_.payloads = RandomPayloads({1, 64, 4096, 100'000, 3'000'000, 17, 1'000'000});
  down_.grant_after_frame = true;
  down_.channel->Grant({.slots = {0, 2}});
  ASSERT_TRUE(Until([&] { return up_.sent.size() == up_.payloads.size(); }));
  ASSERT_TRUE(Until([&] { return down_.frames.size() == up_.payloads.size(); }));
  for (size_t i = 0; i < up_.payloads.size(); ++i) {
    EXPECT_EQ(down_.frames[i].header.tile, i);
    EXPECT_EQ(down_.frames[i].payload, up_.payloads[i]);
    EXPECT_EQ(up_.sent[i], i);
  }
}

TEST_F(MpiFabricTest, BothDirectionsAtOnce) {
  OpenChannel();
  for (End* end : {&up_, &down_}) {
    end->payloads = RandomPayloads({200'000, 200'001, 200'002, 200'003});
    end->grant_after_frame = true;
  }
  up_.channel->Grant({.slots = {0, 1}});
  down_.channel->Grant({.slots = {0, 1}});
  ASSERT_TRUE(Until([&] { return up_.frames.size() == 4 && down_.frames.size() == 4; }));
  EXPECT_EQ(down_.frames[3].payload, up_.payloads[3]);
  EXPECT_EQ(up_.frames[3].payload, down_.payloads[3]);
}

TEST_F(MpiFabricTest, NothingIsSentWithoutCredit) {
  OpenChannel();
  up_.payloads = RandomPayloads({10, 20, 30});
  down_.channel->Grant({.slots = {0, 2}});
  ASSERT_TRUE(Until([&] { return down_.frames.size() == 2; }));
  EXPECT_FALSE(RunFor(absl::Milliseconds(50), io_, [&] { return down_.frames.size() > 2; }));
}

TEST_F(MpiFabricTest, AnEndThatClosesIsHeardOfByTheOther) {
  OpenChannel();
  up_.channel->Close();
  ASSERT_TRUE(Until([&] { return up_.closed && down_.closed; }));
  EXPECT_EQ(*up_.closed, absl::OkStatus());
  EXPECT_EQ(down_.closed->code(), absl::StatusCode::kAborted);
}

// A payload that MPI has begun to send needs its receiver; a channel that is closed has none any
// more, but must let go of the buffer all the same.
TEST_F(MpiFabricTest, WhatIsOnItsWayWhenAnEndClosesIsLetGo) {
  for (const bool sender_closes : {false, true}) {
    up_ = End();
    down_ = End();
    OpenChannel();
    up_.payloads = RandomPayloads({3'000'000, 3'000'000, 3'000'000});
    down_.channel->Grant({.slots = {0, 3}});
    ASSERT_TRUE(Until([&] { return up_.next == 3; }));
    (sender_closes ? up_ : down_).channel->Close();
    ASSERT_TRUE(Until([&] { return up_.closed && down_.closed; })) << sender_closes;
  }
}

TEST_F(MpiFabricTest, AFrameThatIsRefusedEndsTheChannelWithItsReason) {
  OpenChannel();
  down_.frame_status = absl::InvalidArgumentError("not now");
  up_.payloads = RandomPayloads({100, 100});
  down_.channel->Grant({.slots = {0, 2}});
  ASSERT_TRUE(Until([&] { return up_.closed && down_.closed; }));
  EXPECT_EQ(down_.closed->message(), "not now");
  EXPECT_EQ(up_.closed->code(), absl::StatusCode::kAborted);
}

TEST_F(MpiFabricTest, AChannelThatIsDroppedUnopenedEnds) {
  auto dial = StartDial(SomeHello());
  ASSERT_TRUE(Until([&] { return down_.channel && up_.channel; }));
  up_.channel = nullptr;
  down_.channel->Open(down_);
  ASSERT_TRUE(Until([&] { return down_.closed.has_value(); }));
  EXPECT_EQ(down_.closed->code(), absl::StatusCode::kAborted);
}

TEST_F(MpiFabricTest, DialsAgainUntilThePeerIsReady) {
  not_ready_ = absl::UnavailableError("not prepared");
  auto dial = StartDial(SomeHello());
  ASSERT_TRUE(Until([&] { return refused_.size() == 2; }));
  EXPECT_THAT(refused_[0], HasSubstr("not prepared"));
  not_ready_ = absl::OkStatus();
  ASSERT_TRUE(Until([&] { return dialled_.has_value(); }));
  EXPECT_EQ(*dialled_, absl::OkStatus());
  ASSERT_TRUE(Until([&] { return up_.channel != nullptr; }));
  up_.channel = down_.channel = nullptr;
}

TEST_F(MpiFabricTest, ADialEndsAtItsDeadlineWithTheLastReason) {
  not_ready_ = absl::UnavailableError("not prepared");
  auto dial = StartDial(SomeHello(), absl::Milliseconds(100));
  ASSERT_TRUE(Until([&] { return dialled_.has_value(); }));
  EXPECT_EQ(dialled_->code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(dialled_->message()), HasSubstr("dialling here (rank 0)"));
  EXPECT_THAT(std::string(dialled_->message()), HasSubstr("not prepared"));
}

// The peer agrees all the same: its end is told.
TEST_F(MpiFabricTest, ADialThatIsCancelledLeavesNoChannelBehind) {
  std::shared_ptr<PendingDial> dial;
  on_admit_ = [&] { dial->Cancel(); };
  dial = StartDial(SomeHello());
  ASSERT_TRUE(Until([&] { return dialled_.has_value() && up_.channel != nullptr; }));
  EXPECT_EQ(dialled_->code(), absl::StatusCode::kCancelled);
  up_.channel->Open(up_);
  ASSERT_TRUE(Until([&] { return up_.closed.has_value(); }));
  EXPECT_EQ(up_.closed->code(), absl::StatusCode::kAborted);
}

TEST_F(MpiFabricTest, HearsThatItsWorkIsDone) {
  EndMpiFabric(0);
  EXPECT_TRUE(Until([&] { return ended_; }));
}

}  // namespace
}  // namespace waferstream

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  int provided = 0;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided);
  const int result = RUN_ALL_TESTS();
  MPI_Finalize();
  return result;
}
