// A plan made by hand for tests of MemoryX's parts: small enough that every frame can be named.
#pragma once

#include "plan/plan.h"

namespace waferstream {

constexpr int kMatrixElements = 20;  // no multiple of a cache line
constexpr int kVectorElements = 3;

// Tiles 0 and 1 are a matrix with two contributions, tile 2 is a vector; tiles 0 and 2 are shard 0
// of process 0, tile 1 is shard 1 of process 1, which also fills shard 0 on channel 3. One wafer
// computes one micro-batch a wave. Plain SGD, two steps, one slot of each class a window.
inline Plan TestPlan(int leaves) {
  Plan plan;
  plan.job.mutable_training()->set_steps(2);
  plan.job.mutable_training()->mutable_optimizer()->mutable_sgd();
  plan.job.mutable_cluster()->set_planes(1);
  plan.shape = {.wafers = 1, .memoryx = 2, .swarmx = 1, .shards = {{{0}, {1}}, {{1}, {}}}};
  plan.parameters = {{.name = "w",
                      .prefix = "",
                      .rows = 8,
                      .cols = 5,
                      .two_dimensional = true,
                      .decayed = true,
                      .one_tile = false,
                      .contributions = 2},
                     {.name = "b", .prefix = "", .rows = 3, .cols = 1, .first_tile = 2}};
  plan.parameters[0].tile_count = 2;
  plan.parameters[1].tile_count = 1;
  plan.tiles = {{.rows = 4, .elements = kMatrixElements},
                {.first_row = 4, .rows = 4, .elements = kMatrixElements, .shard = 1},
                {.parameter = 1, .rows = 3, .elements = kVectorElements, .slot = kSmall}};
  plan.leaves = leaves;
  plan.waves = leaves;
  plan.program.forward_stream = {0, 1, 2};
  plan.program.backward_stream = {2, 1, 0};
  plan.program.gradient_stream = {{2, 0}, {1, 0}, {0, 0}, {1, 1}, {0, 1}};
  plan.tree_nodes = {{.process = 0, .up_channels = {0, 1}, .down_channels = {2}}};
  const Endpoint node = {SWARMX, 0, 0};
  const Credit window = {{1, 1}};
  const auto connect = [&](ChannelKind kind, Endpoint up, Endpoint down) {
    Channel& channel = plan.channels.emplace_back();
    channel.id = static_cast<int>(plan.channels.size()) - 1;
    channel.kind = kind;
    channel.up = up;
    channel.down = down;
    channel.tile_window = window;
    if (kind == ChannelKind::kTree) channel.gradient_window = window;
  };
  connect(ChannelKind::kTree, {MEMORYX, 0, 0}, node);
  connect(ChannelKind::kTree, {MEMORYX, 1, 1}, node);
  connect(ChannelKind::kTree, node, {WAFER, 0, 0});
  connect(ChannelKind::kCopy, {MEMORYX, 0, 0}, {MEMORYX, 1, 1});
  plan.tile_slot_bytes[kSmall] = plan.gradient_slot_bytes[kSmall] = 4 * kVectorElements;
  plan.tile_slot_bytes[kLarge] = plan.gradient_slot_bytes[kLarge] = 4 * kMatrixElements;
  return plan;
}

}  // namespace waferstream
