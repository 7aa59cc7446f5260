#include "plan/plan_costs.h"

#include <algorithm>

#include "plan/topology.h"
#include "plan/verify.h"

namespace waferstream {
namespace {

uint64_t SlotBytes(const Credit& window, const size_t (&slot_bytes)[kSlotClasses]) {
  uint64_t bytes = 0;
  for (int c = 0; c < kSlotClasses; ++c) bytes += window.slots[c] * slot_bytes[c];
  return bytes;
}

std::vector<ResidentBytes> MemoryXBytes(const Plan& plan, int state_bytes_per_parameter,
                                        int gradient_buffers) {
  std::vector<ResidentBytes> processes(plan.shape.memoryx);
  const auto add = [&](int t, ResidentBytes& p) {
    const Tile& tile = plan.tiles[t];
    p.elements += tile.elements;
    p.state += tile.elements * state_bytes_per_parameter;
    if (plan.is_generation()) return;
    const int blocks = plan.parameters[tile.parameter].contributions * gradient_buffers;
    p.state += (blocks - 1) * plan.GradientBytes(t);
  };
  for (int t = 0; t < static_cast<int>(plan.tiles.size()); ++t) {
    const ShardHolders& shard = plan.shape.shards[plan.tiles[t].shard];
    for (const int process : shard.owners) add(t, processes[process]);
    for (const int process : shard.filling) add(t, processes[process]);
  }
  for (const Channel& channel : plan.channels) {
    if (channel.kind == ChannelKind::kCopy || channel.up.role != MEMORYX) continue;
    processes[channel.up.process].windows +=
        SlotBytes(channel.gradient_window, plan.gradient_slot_bytes);
  }
  return processes;
}

std::vector<ResidentBytes> SwarmXBytes(const Plan& plan) {
  std::vector<ResidentBytes> processes(plan.shape.swarmx);
  for (size_t n = 0; n < plan.tree_nodes.size(); ++n) {
    processes[plan.tree_nodes[n].process].nodes.push_back(static_cast<int>(n));
  }
  for (const Channel& channel : plan.channels) {
    if (channel.down.role == SWARMX) {
      processes[channel.down.process].windows +=
          SlotBytes(channel.tile_window, plan.tile_slot_bytes);
    }
    if (channel.up.role == SWARMX) {
      processes[channel.up.process].windows +=
          SlotBytes(channel.gradient_window, plan.gradient_slot_bytes);
    }
  }
  return processes;
}

uint64_t StreamBytes(const Plan& plan, const std::vector<int>& stream) {
  uint64_t bytes = 0;
  for (int tile : stream) bytes += plan.TileBytes(tile);
  return bytes;
}

// Blocks of one gradient that `down` sends in all waves of a step.
uint64_t BlocksAStep(const Plan& plan, const Endpoint& down) {
  uint64_t blocks = 0;
  for (int wave = 0; wave < plan.waves; ++wave) blocks += BlocksFrom(plan, down, wave).size();
  return blocks;
}

StepTraffic TrafficOf(const Plan& plan) {
  StepTraffic traffic;
  traffic.forward_stream = StreamBytes(plan, plan.program.forward_stream);
  if (plan.is_generation()) {
    traffic.weights_to_wafer = traffic.forward_stream;
    return traffic;
  }
  traffic.backward_stream = StreamBytes(plan, plan.program.backward_stream);
  traffic.weights_to_wafer = plan.waves * (traffic.forward_stream + traffic.backward_stream);
  for (const GradientItem& item : plan.program.gradient_stream) {
    traffic.gradient_stream += plan.GradientBytes(item.tile);
  }
  uint64_t most = 0;
  for (int w = 0; w < plan.shape.wafers; ++w) {
    most = std::max(most, BlocksAStep(plan, {WAFER, w, w}));
  }
  traffic.gradients_from_wafer = most * traffic.gradient_stream;
  // Every plane's root sends the same blocks of its own gradients: the last node of any plane will
  // do, and the last of all is one.
  const int root = static_cast<int>(plan.tree_nodes.size()) - 1;
  const uint64_t blocks = BlocksAStep(plan, {SWARMX, plan.tree_nodes[root].process, root});
  traffic.gradients_to_memoryx = blocks * traffic.gradient_stream;
  return traffic;
}

// Of the forward of one sequence, two a multiply-add.
struct ForwardFlops {
  double layers = 0;
  double last_products = 0;  // part of `layers`: mlp.c_proj, which no recomputation needs
  double head = 0;
};

ForwardFlops ForwardFlopsOf(const ModelSpec& m) {
  const double tokens = m.context(), hidden = m.hidden(), ffn = m.ffn();
  // Causal: of T tokens one attends to (T + 1) / 2 on average; scores and weighted values.
  const double attention = 2 * hidden * (tokens + 1) / 2;
  ForwardFlops flops;
  flops.layers = 2 * tokens * m.layers() * (4 * hidden * hidden + 2 * hidden * ffn + attention);
  flops.last_products = 2 * tokens * m.layers() * hidden * ffn;
  flops.head = 2 * tokens * hidden * m.vocab();
  return flops;
}

}  // namespace

int StateBytesPerParameter(const JobSpec& job) {
  if (job.has_generate()) return 4;
  return job.training().optimizer().has_sgd() ? 12 : 16;
}

PlanCosts CostsOf(const Plan& plan) {
  PlanCosts costs;
  costs.state_bytes_per_parameter = StateBytesPerParameter(plan.job);
  costs.gradient_buffers = plan.is_generation() ? 0 : BuffersPerGradient(plan);
  costs.memoryx = MemoryXBytes(plan, costs.state_bytes_per_parameter, costs.gradient_buffers);
  costs.swarmx = SwarmXBytes(plan);
  costs.traffic = TrafficOf(plan);
  const ForwardFlops forward = ForwardFlopsOf(plan.job.model());
  const double sequences = plan.job.training().global_batch();
  // The gradients of a product are two products of its size.
  const double passes = plan.is_generation() ? 1 : 3;
  costs.step_flops = passes * sequences * (forward.layers + forward.head);
  // The head makes its logits again in the backward, whatever is recomputed in the layers.
  if (!plan.is_generation()) costs.recompute_flops = sequences * forward.head;
  if (plan.recompute == RECOMPUTE_FULL) {
    costs.recompute_flops += sequences * (forward.layers - forward.last_products);
  }
  costs.verify_flops = VerifiedShare(plan) * (costs.step_flops + costs.recompute_flops);
  return costs;
}

}  // namespace waferstream
