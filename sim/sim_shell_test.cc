#include "sim/sim_shell.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "base/parallel.h"
#include "base/status.h"
#include "plan/test_job.h"

namespace waferstream {
namespace {

Plan SmallPlan() {
  absl::StatusOr<Plan> plan = Compile(TestJob(), {1, 1, 1});
  WS_CHECK(plan.ok());
  return *std::move(plan);
}

// Grants one window of tile slots and notes what arrives.
class Receiver : public RoleCore {
 public:
  Receiver(const Plan& plan, ChannelId channel) : plan_(plan), channel_(channel) {}

  void Start(Turn& turn) override {
    grant_.slots[kLarge] += plan_.channels[channel_].tile_window.slots[kLarge];
    turn.actions.push_back(GrantAction{channel_, FrameKind::kTile, grant_});
  }
  absl::StatusOr<std::span<std::byte>> BufferFor(ChannelId, const FrameHeader& header) override {
    buffer_.resize(header.length);
    return std::span(buffer_);
  }
  absl::Status OnFrame(ChannelId, const FrameHeader& header, Turn&) override {
    WS_CHECK(header.sequence == seen_.size());
    seen_.push_back(static_cast<int>(buffer_[0]));
    return result_;
  }
  void OnCredit(ChannelId, FrameKind, const Credit&, Turn&) override { WS_CHECK(false); }
  void OnSent(uint64_t, Turn&) override { WS_CHECK(false); }
  absl::Status OnComputeDone(uint64_t, const absl::Status&, Turn&) override {
    return absl::OkStatus();
  }

  Credit grant_;  // added to its window by a test that wants too much
  absl::Status result_;
  std::vector<int> seen_;

 private:
  const Plan& plan_;
  const ChannelId channel_;
  std::vector<std::byte> buffer_;
};

// Sends a few tiles of its own making when it has credit; each lane's work notes its order.
class Sender : public RoleCore {
 public:
  Sender(const Plan& plan, ChannelId channel) : plan_(plan), channel_(channel) {
    header_.tile = 0;
    while (plan.tiles[header_.tile].slot != kLarge) ++header_.tile;
    header_.length = 1;
  }

  void Start(Turn& turn) override {
    if (early_) Send(turn);
  }
  absl::StatusOr<std::span<std::byte>> BufferFor(ChannelId, const FrameHeader&) override {
    return absl::InternalError("nothing comes up");
  }
  absl::Status OnFrame(ChannelId, const FrameHeader&, Turn&) override { return absl::OkStatus(); }
  void OnCredit(ChannelId, FrameKind kind, const Credit& credit, Turn& turn) override {
    WS_CHECK(kind == FrameKind::kTile);
    for (int i = 0; i < credit.slots[kLarge] + excess_; ++i) Send(turn);
  }
  void OnSent(uint64_t token, Turn& turn) override {
    if (spoil_) payload_[token + 1] = std::byte{99};  // has arrived, but is not yet ours again
    turn.actions.push_back(ComputeAction{Lane::kDisk, token, [this, token](Parallel&) {
                                           work_.push_back(token);
                                           return absl::OkStatus();
                                         }});
  }
  absl::Status OnComputeDone(uint64_t id, const absl::Status& status, Turn&) override {
    done_.push_back(id);
    return status;
  }

  bool early_ = false;
  int excess_ = 0;
  bool spoil_ = false;
  std::vector<uint64_t> work_, done_;

 private:
  void Send(Turn& turn) {
    payload_[sent_] = static_cast<std::byte>(sent_);
    turn.actions.push_back(SendAction{channel_, header_, &payload_[sent_], sent_});
    ++sent_;
  }

  const Plan& plan_;
  const ChannelId channel_;
  FrameHeader header_;
  std::byte payload_[64] = {};
  uint64_t sent_ = 0;
};

class SimShellTest : public testing::Test {
 protected:
  absl::Status Run(std::optional<uint64_t> seed = std::nullopt) {
    Serial serial;
    SimShell shell(plan_, seed, &serial);
    shell.Add(SWARMX, 0, &sender_);
    shell.Add(WAFER, 0, &receiver_);
    shell.Start([](const Endpoint&, const NodeReport&) {});
    return shell.Run();
  }

  const Plan plan_ = SmallPlan();
  const ChannelId channel_ = plan_.tree_nodes[0].down_channels[0];
  Sender sender_{plan_, channel_};
  Receiver receiver_{plan_, channel_};
};

TEST_F(SimShellTest, KeepsTheOrderOfAChannelAndOfALane) {
  ASSERT_TRUE(Run(3).ok());
  const int window = plan_.channels[channel_].tile_window.slots[kLarge];
  ASSERT_GT(window, 1);
  ASSERT_EQ(static_cast<int>(receiver_.seen_.size()), window);
  for (int i = 0; i < window; ++i) EXPECT_EQ(receiver_.seen_[i], i);
  EXPECT_EQ(static_cast<int>(sender_.done_.size()), window);
  EXPECT_EQ(sender_.work_, sender_.done_);
}

TEST(SimShellTraceTest, TheSeedNamesIt) {
  const Plan plan = SmallPlan();
  const ChannelId channel = plan.tree_nodes[0].down_channels[0];
  const auto trace = [&](std::optional<uint64_t> seed) {
    Sender sender(plan, channel);
    Receiver receiver(plan, channel);
    Serial serial;
    SimShell shell(plan, seed, &serial);
    shell.Add(SWARMX, 0, &sender);
    shell.Add(WAFER, 0, &receiver);
    shell.Start([](const Endpoint&, const NodeReport&) {});
    WS_CHECK(shell.Run().ok());
    return shell.TraceHash();
  };
  EXPECT_EQ(trace(1), trace(1));
  EXPECT_NE(trace(1), trace(2));
  EXPECT_EQ(trace(std::nullopt), trace(std::nullopt));
}

TEST_F(SimShellTest, AnErrorOfACoreEndsTheRunAndNamesIt) {
  receiver_.result_ = absl::DataLossError("spoilt");
  const absl::Status status = Run();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(status.message(), "WAFER 0: spoilt");
  EXPECT_EQ(receiver_.seen_.size(), 1u);
}

TEST_F(SimShellTest, AbortsOnAFrameWithoutCredit) {
  sender_.early_ = true;
  EXPECT_DEATH(Run().IgnoreError(), "wire.credit.Has");
  sender_.early_ = false;
  sender_.excess_ = 1;
  EXPECT_DEATH(Run().IgnoreError(), "wire.credit.Has");
}

TEST_F(SimShellTest, AbortsOnAGrantBeyondTheWindow) {
  receiver_.grant_.slots[kLarge] = 1;
  EXPECT_DEATH(Run().IgnoreError(), "wire.granted");
}

TEST_F(SimShellTest, AbortsOnAPayloadThatChanges) {
  sender_.spoil_ = true;
  EXPECT_DEATH(Run().IgnoreError(), "payload_hash");
}

}  // namespace
}  // namespace waferstream
