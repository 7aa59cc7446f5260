// A plan made by hand for tests of one tree node: small enough that every frame can be named.
#pragma once

#include <gtest/gtest.h>

#include <utility>
#include <variant>

#include "core/role_core.h"
#include "plan/plan.h"

namespace waferstream {

// The channels of the node under test.
constexpr int kParent0 = 0, kParent1 = 1;
constexpr int kChild0 = 2, kChild1 = 3;

// Two wafers below one node below two MemoryX processes. Tile 0 (large) is streamed by process 0,
// tile 1 (large) by process 1, and tile 2 (small) by process 0, but both hold it. `leaves` are the
// micro-batches of a wave, of which there is one a step; the first wafer takes the odd one. Two
// steps.
inline Plan TestTree(int leaves) {
  Plan plan;
  plan.job.mutable_training()->set_steps(2);
  plan.shape = {
      .wafers = 2, .memoryx = 2, .swarmx = 1, .shards = {{{0}, {}}, {{1}, {}}, {{0, 1}, {}}}};
  plan.tiles = {
      {.elements = 20}, {.elements = 20, .shard = 1}, {.elements = 3, .shard = 2, .slot = kSmall}};
  plan.leaves = leaves;
  plan.waves = 1;
  plan.program.forward_stream = {0, 1, 2};
  plan.program.backward_stream = {2, 1, 0};
  plan.program.gradient_stream = {{0, 0}, {2, 0}, {1, 0}};
  plan.tree_nodes = {
      {.process = 0, .up_channels = {kParent0, kParent1}, .down_channels = {kChild0, kChild1}}};
  const Endpoint node = {SWARMX, 0, 0};
  const auto connect = [&](Endpoint up, Endpoint down) {
    Channel& channel = plan.channels.emplace_back();
    channel.id = static_cast<int>(plan.channels.size()) - 1;
    channel.up = up;
    channel.down = down;
    channel.tile_window = {{1, 2}};
    channel.gradient_window = {{2, 2}};
  };
  connect({MEMORYX, 0, 0}, node);
  connect({MEMORYX, 1, 1}, node);
  connect(node, {WAFER, 0, 0});
  connect(node, {WAFER, 1, 1});
  for (auto* bytes : {plan.tile_slot_bytes, plan.gradient_slot_bytes}) {
    bytes[kSmall] = 12;
    bytes[kLarge] = 80;
  }
  return plan;
}

// Slots of each class, small and large, that were granted to this channel since the last look, for
// frames of `kind`. Takes the grants out of `turn`.
inline std::pair<int, int> TakeGrants(Turn& turn, ChannelId channel, FrameKind kind) {
  std::pair<int, int> slots;
  std::erase_if(turn.actions, [&](const Action& action) {
    const auto* grant = std::get_if<GrantAction>(&action);
    if (grant == nullptr || grant->channel != channel) return false;
    EXPECT_EQ(grant->kind, kind);
    slots.first += grant->credit.slots[kSmall];
    slots.second += grant->credit.slots[kLarge];
    return true;
  });
  return slots;
}

}  // namespace waferstream
