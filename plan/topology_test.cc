// The shape of the trees, for fan-outs, depths, planes and odd sizes.
#include "plan/topology.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "plan/test_job.h"

namespace waferstream {
namespace {

struct Shape {
  int wafers, memoryx, swarmx, fanout, planes;
};

Plan PlanOf(const Shape& s, uint32_t batch = 8) {
  JobSpec job = TestJob();
  job.mutable_training()->set_global_batch(batch);
  job.mutable_cluster()->set_fanout(s.fanout);
  job.mutable_cluster()->set_planes(s.planes);
  auto plan = Compile(job, {.wafers = s.wafers, .memoryx = s.memoryx, .swarmx = s.swarmx});
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *std::move(plan);
}

std::vector<Shape> Shapes() {
  std::vector<Shape> shapes;
  for (int wafers : {1, 2, 3, 5, 8, 17, 64}) {
    for (int memoryx : {1, 3}) {
      for (int fanout : {2, 4, 7}) {
        for (int planes : {1, 2}) shapes.push_back({wafers, memoryx, memoryx + 1, fanout, planes});
      }
    }
  }
  return shapes;
}

void AppendWafersBelow(const Plan& plan, int node, std::vector<int>& wafers) {
  for (int id : plan.tree_nodes[node].down_channels) {
    const Endpoint& down = plan.channels[id].down;
    if (down.role == WAFER) {
      wafers.push_back(down.process);
    } else {
      EXPECT_LT(down.node, node) << "children come before parents";
      AppendWafersBelow(plan, down.node, wafers);
    }
  }
}

// The roots are the nodes above which MemoryX stands.
std::vector<int> Roots(const Plan& plan) {
  std::vector<int> roots;
  for (size_t n = 0; n < plan.tree_nodes.size(); ++n) {
    if (plan.channels[plan.tree_nodes[n].up_channels[0]].up.role == MEMORYX) {
      roots.push_back(static_cast<int>(n));
    }
  }
  return roots;
}

TEST(Topology, EveryPlaneIsOneTreeOverAllWafersInOrder) {
  for (const Shape& s : Shapes()) {
    const Plan plan = PlanOf(s);
    const std::vector<int> roots = Roots(plan);
    ASSERT_EQ(roots.size(), static_cast<size_t>(s.planes));
    for (int plane = 0; plane < s.planes; ++plane) {
      EXPECT_EQ(plan.tree_nodes[roots[plane]].plane, plane);
      std::vector<int> wafers, expected;
      AppendWafersBelow(plan, roots[plane], wafers);
      for (int w = 0; w < s.wafers; ++w) expected.push_back(w);
      EXPECT_EQ(wafers, expected);
    }
  }
}

TEST(Topology, NodesRespectTheFanOutAndAreDealtOutInTurn) {
  for (const Shape& s : Shapes()) {
    const Plan plan = PlanOf(s);
    for (size_t n = 0; n < plan.tree_nodes.size(); ++n) {
      const TreeNode& node = plan.tree_nodes[n];
      EXPECT_LE(node.down_channels.size(), static_cast<size_t>(s.fanout));
      EXPECT_EQ(node.process, static_cast<int>(n) % s.swarmx);
      const bool root = plan.channels[node.up_channels[0]].up.role == MEMORYX;
      ASSERT_EQ(node.up_channels.size(), root ? static_cast<size_t>(s.memoryx) : 1u);
      if (!root) continue;
      for (int m = 0; m < s.memoryx; ++m) {
        EXPECT_EQ(plan.channels[node.up_channels[m]].up.process, m);
      }
    }
    for (size_t c = 0; c < plan.channels.size(); ++c) {
      const Channel& channel = plan.channels[c];
      EXPECT_EQ(channel.id, static_cast<int>(c));
      for (int slots : channel.tile_window.slots) EXPECT_GT(slots, 0);
      if (channel.down.role == SWARMX) {
        EXPECT_EQ(channel.plane, plan.tree_nodes[channel.down.node].plane);
      }
    }
  }
}

TEST(Topology, OneBlockAGradientReachesMemoryXWhenEverythingIsAPowerOfTwo) {
  for (int wafers : {1, 2, 4, 8, 16}) {
    for (int fanout : {2, 4}) {
      const Plan plan = PlanOf({wafers, 1, 1, fanout, 1}, 16);
      const int root = Roots(plan)[0];
      ASSERT_EQ(plan.waves, 1);
      const auto blocks = BlocksFrom(plan, {SWARMX, 0, root}, 0);
      ASSERT_EQ(blocks.size(), 1u);
      EXPECT_TRUE(IsRoot(blocks[0], plan.leaves));
      const Channel& up = plan.channels[plan.tree_nodes[root].up_channels[0]];
      EXPECT_EQ(up.gradient_window.slots[kLarge], 2);
    }
  }
}

TEST(Topology, TheBlocksOfAllWavesAreTheWholeBatch) {
  for (uint32_t batch : {1u, 3u, 12u, 13u}) {
    JobSpec job = TestJob();
    job.mutable_training()->set_global_batch(batch);
    // Room for one resident micro-batch, so that there are several waves.
    job.mutable_training()->set_recompute(RECOMPUTE_NONE);
    job.mutable_training()->set_global_batch(1);
    const size_t one = SramNeeded(*Compile(job, {}));
    job.mutable_training()->set_global_batch(batch);
    job.mutable_cluster()->mutable_wafer()->set_sram_bytes(one + one / 2);
    const Plan plan = *Compile(job, {.wafers = 3, .memoryx = 1, .swarmx = 1});
    std::vector<BlockRange> blocks;
    for (int wave = 0; wave < plan.waves; ++wave) {
      const auto of_wave = BlocksFrom(plan, {SWARMX, 0, Roots(plan)[0]}, wave);
      blocks.insert(blocks.end(), of_wave.begin(), of_wave.end());
    }
    const auto sum = MergeBlocks(blocks, plan.leaves);
    ASSERT_EQ(sum.size(), 1u);
    EXPECT_TRUE(IsRoot(sum[0], plan.leaves));
  }
}

TEST(Topology, MemoryXHoldsABinaryCounterOfWaves) {
  Plan plan = PlanOf({1, 1, 1, 2, 1}, 8);
  EXPECT_EQ(BuffersPerGradient(plan), 1);
  plan.waves = 8;  // after seven waves of one leaf: blocks of four, two and one
  EXPECT_EQ(BuffersPerGradient(plan), 3);
}

TEST(Topology, WindowsHoldWhatASubtreeDelivers) {
  for (const Shape& s : Shapes()) {
    const Plan plan = PlanOf(s, 13);
    for (const Channel& channel : plan.channels) {
      size_t most = 0;
      for (int wave = 0; wave < plan.waves; ++wave) {
        most = std::max(most, BlocksFrom(plan, channel.down, wave).size());
      }
      EXPECT_EQ(channel.gradient_window.slots[kLarge], static_cast<int>(2 * most));
      EXPECT_EQ(channel.gradient_window.slots[kSmall], static_cast<int>(8 * most));
    }
  }
}

}  // namespace
}  // namespace waferstream
