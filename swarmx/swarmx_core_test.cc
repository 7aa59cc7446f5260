#include "swarmx/swarmx_core.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plan/test_job.h"
#include "plan/topology.h"
#include "sim/core_rig.h"
#include "swarmx/fake_peers.h"

namespace waferstream {
namespace {

struct Case {
  int wafers = 1;
  int fanout = 4;
  int leaves = 4;
  int planes = 1;
  int memoryx = 1;
  int swarmx = 1;
  uint64_t sram_bytes = 64 << 20;
};

// A job whose tensors are as small as they get.
JobSpec TinyJob(const Case& c) {
  JobSpec job = TestJob();
  job.mutable_model()->set_layers(1);
  job.mutable_model()->set_hidden(4);
  job.mutable_model()->set_heads(1);
  job.mutable_model()->set_ffn(8);
  job.mutable_model()->set_vocab(11);
  job.mutable_model()->set_context(3);
  job.mutable_training()->set_tile_elements(16);
  job.mutable_training()->set_steps(2);
  job.mutable_training()->set_global_batch(c.leaves);
  job.mutable_cluster()->set_fanout(c.fanout);
  job.mutable_cluster()->set_planes(c.planes);
  job.mutable_cluster()->mutable_wafer()->set_sram_bytes(c.sram_bytes);
  return job;
}

Plan CompileCase(const Case& c) {
  absl::StatusOr<Plan> plan = Compile(TinyJob(c), {c.wafers, c.memoryx, c.swarmx});
  WS_CHECK(plan.ok());
  return *std::move(plan);
}

// Additions of one step in all SwarmX nodes: in each, every block that comes in and does not go
// out.
uint64_t AdditionsOfAStep(const Plan& plan) {
  uint64_t additions = 0;
  for (const TreeNode& node : plan.tree_nodes) {
    uint64_t items = 0;
    for (const GradientItem& item : plan.program.gradient_stream) {
      items += plan.tiles[item.tile].plane == node.plane;
    }
    for (int wave = 0; wave < plan.waves; ++wave) {
      for (const int id : node.down_channels) {
        additions += items * BlocksFrom(plan, plan.channels[id].down, wave).size();
      }
      const Endpoint& self = plan.channels[node.up_channels[0]].down;
      additions -= items * BlocksFrom(plan, self, wave).size();
    }
  }
  return additions;
}

// Streams a whole job through real trees between fake ends, which check every byte.
void RunCase(const Case& c, uint64_t seed) {
  const Plan plan = CompileCase(c);
  CoreRig rig(plan, seed);
  std::vector<const FakePeer*> ends;
  const auto add = [&](Role role, FakePeer peer) {
    auto core = std::make_unique<FakePeer>(std::move(peer));
    ends.push_back(core.get());
    rig.Add(role, std::move(core));
  };
  for (int i = 0; i < c.memoryx; ++i) add(MEMORYX, FakePeer::Memoryx(plan, i));
  for (int i = 0; i < c.swarmx; ++i) rig.Add(SWARMX, *SwarmxCore::Create(plan, i, 0, 0));
  for (int i = 0; i < c.wafers; ++i) add(WAFER, FakePeer::Wafer(plan, i));

  std::vector<TrafficCounters> totals(c.swarmx);
  const absl::Status status = rig.Run([&](Role, int process, const NodeReport& report) {
    totals[process] = report.swarmx_step().traffic();
  });
  ASSERT_TRUE(status.ok()) << status.message();
  for (const FakePeer* end : ends) ASSERT_TRUE(end->done());
  uint64_t additions = 0;
  for (const TrafficCounters& total : totals) additions += total.gradient_adds();
  EXPECT_EQ(additions, 2 * AdditionsOfAStep(plan));
}

TEST(SwarmxCoreTest, EveryShapeDeliversEveryTileAndReducesEveryGradient) {
  uint64_t seed = 0;
  for (const int wafers : {1, 2, 3, 5, 9}) {
    for (const int fanout : {2, 4}) {
      for (const int leaves : {1, 5, 7, 8}) {
        for (const int planes : {1, 2}) {
          for (const int memoryx : {1, 3}) {
            ++seed;
            const int swarmx = 1 + static_cast<int>(seed % 3);
            SCOPED_TRACE(testing::Message()
                         << "wafers " << wafers << " fanout " << fanout << " leaves " << leaves
                         << " planes " << planes << " memoryx " << memoryx << " swarmx " << swarmx);
            RunCase({wafers, fanout, leaves, planes, memoryx, swarmx}, seed);
          }
        }
      }
    }
  }
}

// The smallest SRAM that the planner accepts makes the most waves.
TEST(SwarmxCoreTest, SeveralWaves) {
  Case c{.wafers = 3, .fanout = 2, .leaves = 7, .planes = 2, .memoryx = 2, .swarmx = 2};
  uint64_t refused = 0, accepted = c.sram_bytes;
  while (accepted - refused > 1) {
    c.sram_bytes = (refused + accepted) / 2;
    (Compile(TinyJob(c), {c.wafers, c.memoryx, c.swarmx}).ok() ? accepted : refused) = c.sram_bytes;
  }
  c.sram_bytes = accepted;
  ASSERT_GT(CompileCase(c).waves, 1);
  for (uint64_t seed = 0; seed < 10; ++seed) RunCase(c, seed);
}

TEST(SwarmxCoreTest, ResidentBytesAreItsWindows) {
  const Plan plan =
      CompileCase({.wafers = 5, .fanout = 2, .leaves = 7, .planes = 2, .memoryx = 2, .swarmx = 2});
  const auto padded = [](size_t bytes) { return (bytes + 63) / 64 * 64; };
  for (int process = 0; process < 2; ++process) {
    size_t bytes = 0;
    for (const Channel& c : plan.channels) {
      for (int k = 0; k < kSlotClasses; ++k) {
        if (c.down.role == SWARMX && c.down.process == process) {
          bytes += c.tile_window.slots[k] * padded(plan.tile_slot_bytes[k]);
        }
        if (c.up.role == SWARMX && c.up.process == process) {
          bytes += c.gradient_window.slots[k] * padded(plan.gradient_slot_bytes[k]);
        }
      }
    }
    EXPECT_GT(bytes, 0u);
    EXPECT_EQ((*SwarmxCore::Create(plan, process, 0, 0))->resident_bytes(), bytes);
  }
}

// One tree node over two wafers, called by hand.
class SwarmxProtocolTest : public testing::Test {
 protected:
  SwarmxProtocolTest() : plan_(CompileCase({.wafers = 2, .leaves = 4})) {
    core_ = *SwarmxCore::Create(plan_, 0, 0, 0);
    Turn turn;
    core_->Start(turn);
    for (const Channel& c : plan_.channels) (c.up.role == MEMORYX ? up_ : down_).push_back(c.id);
    tiles_ = TileFrames(plan_, 0, -1);
    for (const int id : down_) {
      gradients_.push_back(GradientFrames(plan_, 0, plan_.channels[id].down, -1));
    }
  }

  absl::Status Deliver(ChannelId channel, const FrameHeader& header, Turn& turn) {
    auto buffer = core_->BufferFor(channel, header);
    if (!buffer.ok()) return buffer.status();
    const std::vector<std::byte> payload = PayloadOf(plan_, header);
    std::copy(payload.begin(), payload.end(), buffer->begin());
    return core_->OnFrame(channel, header, buffer->data(), turn);
  }
  absl::Status Refusal(ChannelId channel, const FrameHeader& header) {
    return core_->BufferFor(channel, header).status();
  }

  const Plan plan_;
  std::unique_ptr<SwarmxCore> core_;
  std::vector<ChannelId> up_, down_;
  std::vector<FrameHeader> tiles_;
  std::vector<std::vector<FrameHeader>> gradients_;  // by child
};

TEST_F(SwarmxProtocolTest, RefusesADuplicateAndAGap) {
  Turn turn;
  ASSERT_TRUE(Deliver(up_[0], tiles_[0], turn).ok());
  EXPECT_EQ(Refusal(up_[0], tiles_[0]).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Refusal(up_[0], tiles_[2]).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(Deliver(up_[0], tiles_[1], turn).ok());

  ASSERT_TRUE(Deliver(down_[1], gradients_[1][0], turn).ok());
  EXPECT_EQ(Refusal(down_[1], gradients_[1][0]).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Refusal(down_[1], gradients_[1][2]).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(Deliver(down_[1], gradients_[1][1], turn).ok());
}

TEST_F(SwarmxProtocolTest, RefusesEveryFieldThatIsWrong) {
  const auto refuses = [&](void (*spoil)(FrameHeader&)) {
    FrameHeader tile = tiles_[0], gradient = gradients_[0][0];
    spoil(tile);
    spoil(gradient);
    EXPECT_EQ(Refusal(up_[0], tile).code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(Refusal(down_[0], gradient).code(), absl::StatusCode::kInvalidArgument);
  };
  refuses([](FrameHeader& h) { h.epoch += 1; });
  refuses([](FrameHeader& h) { h.step += 1; });
  refuses([](FrameHeader& h) { h.wave += 1; });
  refuses([](FrameHeader& h) { h.tile += 1; });
  refuses([](FrameHeader& h) { h.length += 4; });
  refuses([](FrameHeader& h) { h.dtype ^= 1; });
  refuses([](FrameHeader& h) { h.pass ^= 1; });
  refuses([](FrameHeader& h) { h.contribution += 1; });
  refuses([](FrameHeader& h) { h.range_lo += 1; });
  refuses([](FrameHeader& h) { h.range_level += 1; });
  refuses([](FrameHeader& h) { h.kind = FrameKind::kCredit; });
  EXPECT_TRUE(core_->BufferFor(up_[0], tiles_[0]).ok());
}

TEST_F(SwarmxProtocolTest, RefusesAFrameInTheWrongDirection) {
  EXPECT_FALSE(Refusal(down_[0], tiles_[0]).ok());
  EXPECT_FALSE(Refusal(up_[0], gradients_[0][0]).ok());
}

TEST_F(SwarmxProtocolTest, SaysWhatWasDue) {
  const std::string message(Refusal(up_[0], tiles_[1]).message());
  EXPECT_NE(message.find("got " + Describe(tiles_[1])), std::string::npos) << message;
  EXPECT_NE(message.find("where " + Describe(tiles_[0])), std::string::npos) << message;
}

TEST_F(SwarmxProtocolTest, RefusesMoreThanItsWindow) {
  Turn turn;
  absl::Status status;
  size_t delivered = 0;
  while (status.ok() && delivered < tiles_.size()) {
    status = Deliver(up_[0], tiles_[delivered++], turn);
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(turn.actions.empty());  // no child granted anything
}

// A slow child does not hold back the other one, and a slot is granted again only when both are
// done with its tile.
TEST_F(SwarmxProtocolTest, ForwardsToEachChildOnItsOwnCredit) {
  Turn turn;
  Credit one;
  one.slots[plan_.tiles[tiles_[0].tile].slot] = 1;
  core_->OnCredit(down_[0], FrameKind::kTile, one, turn);
  ASSERT_TRUE(Deliver(up_[0], tiles_[0], turn).ok());
  ASSERT_EQ(turn.actions.size(), 1u);
  const SendAction first = std::get<SendAction>(turn.actions[0]);
  EXPECT_EQ(first.channel, down_[0]);
  turn.actions.clear();
  core_->OnSent(first.token, turn);
  EXPECT_TRUE(turn.actions.empty());

  core_->OnCredit(down_[1], FrameKind::kTile, one, turn);
  ASSERT_EQ(turn.actions.size(), 1u);
  const SendAction second = std::get<SendAction>(turn.actions[0]);
  EXPECT_EQ(second.channel, down_[1]);
  EXPECT_EQ(second.payload, first.payload);
  turn.actions.clear();
  core_->OnSent(second.token, turn);
  ASSERT_EQ(turn.actions.size(), 1u);
  const GrantAction grant = std::get<GrantAction>(turn.actions[0]);
  EXPECT_EQ(grant.channel, up_[0]);
  EXPECT_EQ(grant.kind, FrameKind::kTile);
}

}  // namespace
}  // namespace waferstream
