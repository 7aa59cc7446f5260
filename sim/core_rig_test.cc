#include "sim/core_rig.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "plan/test_job.h"

namespace waferstream {
namespace {

Plan SmallPlan() {
  absl::StatusOr<Plan> plan = Compile(TestJob(), {1, 1, 1});
  WS_CHECK(plan.ok());
  return *std::move(plan);
}

// Has channels, and nothing to say.
class Idle : public RoleCore {
 public:
  void Start(Turn&) override {}
  absl::StatusOr<std::span<std::byte>> BufferFor(ChannelId, const FrameHeader&) override {
    return absl::InternalError("nothing comes here");
  }
  absl::Status OnFrame(ChannelId, const FrameHeader&, const std::byte*, Turn&) override {
    return absl::OkStatus();
  }
  void OnCredit(ChannelId, FrameKind, const Credit&, Turn&) override {}
  void OnSent(uint64_t, Turn&) override {}
  absl::Status OnComputeDone(uint64_t, const absl::Status& status, Turn&) override {
    return status;
  }
};

// Grants one window of tile slots and notes what arrives.
class Receiver : public RoleCore {
 public:
  Receiver(const Plan& plan, ChannelId channel) : plan_(plan), channel_(channel) {}
  ~Receiver() override { on_end_(); }

  void Start(Turn& turn) override {
    grant_.slots[kLarge] += plan_.channels[channel_].tile_window.slots[kLarge];
    turn.actions.push_back(GrantAction{channel_, FrameKind::kTile, grant_});
  }
  absl::StatusOr<std::span<std::byte>> BufferFor(ChannelId, const FrameHeader& header) override {
    buffer_.resize(header.length);
    return std::span(buffer_);
  }
  absl::Status OnFrame(ChannelId, const FrameHeader& header, const std::byte*, Turn&) override {
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
  std::function<void()> on_end_ = [] {};

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
  absl::Status OnFrame(ChannelId, const FrameHeader&, const std::byte*, Turn&) override {
    return absl::OkStatus();
  }
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

// A line of one process each. A test changes the ends before Run, and looks at them after it.
struct Line {
  explicit Line(uint64_t seed)
      : rig(plan, seed), sender(new Sender(plan, channel)), receiver(new Receiver(plan, channel)) {
    rig.Add(MEMORYX, std::make_unique<Idle>());
    rig.Add(SWARMX, std::unique_ptr<RoleCore>(sender));
    rig.Add(WAFER, std::unique_ptr<RoleCore>(receiver));
  }
  absl::Status Run() {
    return rig.Run([](Role, int, const NodeReport&) {});
  }

  const Plan plan = SmallPlan();
  const ChannelId channel = plan.tree_nodes[0].down_channels[0];
  CoreRig rig;
  Sender* const sender;      // the rig's
  Receiver* const receiver;  // the rig's
};

TEST(CoreRigTest, KeepsTheOrderOfAChannelAndOfALane) {
  Line line(3);
  ASSERT_TRUE(line.Run().ok());
  const int window = line.plan.channels[line.channel].tile_window.slots[kLarge];
  ASSERT_GT(window, 1);
  ASSERT_EQ(static_cast<int>(line.receiver->seen_.size()), window);
  for (int i = 0; i < window; ++i) EXPECT_EQ(line.receiver->seen_[i], i);
  EXPECT_EQ(static_cast<int>(line.sender->done_.size()), window);
  EXPECT_EQ(line.sender->work_, line.sender->done_);
}

TEST(CoreRigTest, TheSeedNamesTheTrace) {
  const auto trace = [](uint64_t seed) {
    Line line(seed);
    EXPECT_TRUE(line.Run().ok());
    return line.rig.TraceHash();
  };
  EXPECT_EQ(trace(1), trace(1));
  EXPECT_NE(trace(1), trace(2));
}

TEST(CoreRigTest, AnErrorOfACoreEndsTheRunAndNamesIt) {
  Line line(1);
  bool destroyed = false;
  int seen = 0;
  line.receiver->result_ = absl::DataLossError("spoilt");
  line.receiver->on_end_ = [&] {
    destroyed = true;
    seen = static_cast<int>(line.receiver->seen_.size());
  };
  const std::string why(line.Run().message());
  EXPECT_THAT(why, testing::StartsWith("WAFER 0: "));
  EXPECT_THAT(why, testing::HasSubstr("spoilt"));
  EXPECT_TRUE(destroyed);
  EXPECT_EQ(seen, 1);
}

TEST(CoreRigTest, AbortsOnAFrameWithoutCredit) {
  const auto run = [](bool early, int excess) {
    Line line(1);
    line.sender->early_ = early;
    line.sender->excess_ = excess;
    line.Run().IgnoreError();
  };
  EXPECT_DEATH(run(true, 0), "credit_.Has");
  EXPECT_DEATH(run(false, 1), "credit_.Has");
}

TEST(CoreRigTest, AbortsOnAGrantBeyondTheWindow) {
  const auto run = [] {
    Line line(1);
    line.receiver->grant_.slots[kLarge] = 1;
    line.Run().IgnoreError();
  };
  EXPECT_DEATH(run(), "granted_");
}

TEST(CoreRigTest, AbortsOnAPayloadThatChanges) {
  const auto run = [] {
    Line line(1);
    line.sender->spoil_ = true;
    line.Run().IgnoreError();
  };
  EXPECT_DEATH(run(), "a payload changed");
}

}  // namespace
}  // namespace waferstream
