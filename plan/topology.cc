#include "plan/topology.h"

#include <algorithm>

#include "base/status.h"
#include "plan/job_kind.h"

namespace waferstream {
namespace {

// What a SwarmX node grants for tiles on each up channel. Enough to receive, forward and hold the
// next; a deeper buffer would only move the queue, since all children must take a tile anyway.
constexpr Credit kSwarmTileWindow = {{32, 4}};

// A window holds this many gradients of a subtree: one being summed, one arriving. Vectors are
// small and come in bursts, so they get more.
constexpr int kGradientsInWindow[kSlotClasses] = {8, 2};

Endpoint WaferEnd(int wafer) { return {WAFER, wafer, wafer}; }
Endpoint MemoryEnd(int process) { return {MEMORYX, process, process}; }
Endpoint SwarmEnd(const Plan& plan, int node) {
  return {SWARMX, plan.tree_nodes[node].process, node};
}

void Connect(Plan& plan, int plane, Endpoint up, Endpoint down) {
  Channel channel;
  channel.id = static_cast<int>(plan.channels.size());
  channel.plane = plane;
  channel.up = up;
  channel.down = down;
  if (down.role == SWARMX) channel.tile_window = kSwarmTileWindow;
  if (up.role == SWARMX) plan.tree_nodes[up.node].down_channels.push_back(channel.id);
  if (down.role == SWARMX) plan.tree_nodes[down.node].up_channels.push_back(channel.id);
  plan.channels.push_back(channel);
}

// One level of a plane's tree: nodes over up to `fanout` of `below` each. Returns the nodes.
std::vector<Endpoint> AddLevel(Plan& plan, int plane, const std::vector<Endpoint>& below) {
  const size_t fanout = plan.job.cluster().fanout();
  std::vector<Endpoint> level;
  for (size_t first = 0; first < below.size(); first += fanout) {
    const int node = static_cast<int>(plan.tree_nodes.size());
    plan.tree_nodes.push_back({plane, node % plan.shape.swarmx, {}, {}});
    level.push_back(SwarmEnd(plan, node));
    const size_t end = std::min(first + fanout, below.size());
    for (size_t i = first; i < end; ++i) Connect(plan, plane, level.back(), below[i]);
  }
  return level;
}

void AddTree(Plan& plan, int plane) {
  std::vector<Endpoint> level;
  for (int w = 0; w < plan.shape.wafers; ++w) level.push_back(WaferEnd(w));
  do {
    level = AddLevel(plan, plane, level);
  } while (level.size() > 1);
  for (int m = 0; m < plan.shape.memoryx; ++m) Connect(plan, plane, MemoryEnd(m), level[0]);
}

// One slot of each class: the primary sends the next tile of a class when the last one has been
// taken in, which also bounds the memory of a fill to two tiles.
void AddCopies(Plan& plan) {
  for (size_t s = 0; s < plan.shape.shards.size(); ++s) {
    const ShardHolders& shard = plan.shape.shards[s];
    for (const int process : shard.filling) {
      Channel channel;
      channel.id = static_cast<int>(plan.channels.size());
      channel.kind = ChannelKind::kCopy;
      channel.shard = static_cast<int>(s);
      channel.up = MemoryEnd(shard.owners[0]);
      channel.down = MemoryEnd(process);
      channel.tile_window = {{1, 1}};
      plan.channels.push_back(channel);
    }
  }
}

std::vector<BlockRange> BlocksOfWafer(const Plan& plan, int wafer, int wave) {
  const LeafSpan span = plan.TrainingLeaves(wave, wafer);
  return BlocksOf(span.first, span.count, plan.leaves);
}

void SetWaferWindows(Plan& plan) {
  const std::vector<Credit> windows = WaferTileWindows(plan);
  for (Channel& channel : plan.channels) {
    if (channel.down.role == WAFER) channel.tile_window = windows[channel.plane];
  }
}

// Sets every gradient window from what the subtree below delivers in its busiest wave. Works its
// way up, so that each subtree is merged once.
void SetGradientWindows(Plan& plan) {
  std::vector<size_t> most(plan.channels.size(), 0);
  for (int wave = 0; wave < plan.waves; ++wave) {
    std::vector<std::vector<BlockRange>> of_node(plan.tree_nodes.size());
    for (size_t n = 0; n < plan.tree_nodes.size(); ++n) {  // children before parents
      std::vector<BlockRange> blocks;
      for (int id : plan.tree_nodes[n].down_channels) {
        const Endpoint& down = plan.channels[id].down;
        const auto part =
            down.role == WAFER ? BlocksOfWafer(plan, down.process, wave) : of_node[down.node];
        most[id] = std::max(most[id], part.size());
        blocks.insert(blocks.end(), part.begin(), part.end());
      }
      of_node[n] = MergeBlocks(std::move(blocks), plan.leaves);
      for (int id : plan.tree_nodes[n].up_channels) {
        most[id] = std::max(most[id], of_node[n].size());
      }
    }
  }
  for (Channel& channel : plan.channels) {
    if (channel.kind == ChannelKind::kCopy) continue;
    for (int c = 0; c < kSlotClasses; ++c) {
      channel.gradient_window.slots[c] = kGradientsInWindow[c] * static_cast<int>(most[channel.id]);
    }
  }
}

}  // namespace

void BuildTrees(Plan& plan) {
  const int planes = static_cast<int>(plan.job.cluster().planes());
  for (int plane = 0; plane < planes; ++plane) AddTree(plan, plane);
  SetWaferWindows(plan);
  if (Trains(plan.job)) SetGradientWindows(plan);
  AddCopies(plan);
}

std::vector<BlockRange> BlocksFrom(const Plan& plan, const Endpoint& down, int wave) {
  WS_CHECK(down.role != MEMORYX);
  if (down.role == WAFER) return BlocksOfWafer(plan, down.process, wave);
  std::vector<BlockRange> blocks;
  for (int id : plan.tree_nodes[down.node].down_channels) {
    const auto part = BlocksFrom(plan, plan.channels[id].down, wave);
    blocks.insert(blocks.end(), part.begin(), part.end());
  }
  return MergeBlocks(std::move(blocks), plan.leaves);
}

int BuffersPerGradient(const Plan& plan) {
  // Every plane's root delivers the same blocks, each of its own gradients; the last node is one.
  const int root = static_cast<int>(plan.tree_nodes.size()) - 1;
  BlockSet blocks(plan.leaves);
  size_t most = 0;
  for (int wave = 0; wave < plan.waves; ++wave) {
    for (const BlockRange& block : BlocksFrom(plan, SwarmEnd(plan, root), wave)) {
      auto merge = blocks.Insert(block, 0);
      while (merge.has_value()) merge = blocks.Insert(merge->result, 0);
      most = std::max(most, blocks.held().size());
    }
  }
  return static_cast<int>(most);
}

}  // namespace waferstream
