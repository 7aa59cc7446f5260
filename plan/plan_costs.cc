#include "plan/plan_costs.h"

#include <algorithm>

#include "plan/job_kind.h"
#include "plan/optimizer_state.h"
#include "plan/topology.h"
#include "plan/verify.h"

namespace waferstream {
namespace {

uint64_t SlotBytes(const Credit& window, const size_t (&slot_bytes)[kSlotClasses]) {
  uint64_t bytes = 0;
  for (int c = 0; c < kSlotClasses; ++c) bytes += window.slots[c] * slot_bytes[c];
  return bytes;
}

// Each holder of a shard has one.
void AddWorkspaces(const Plan& plan, std::vector<ResidentBytes>& processes) {
  std::vector<uint64_t> elements(plan.shape.shards.size());
  for (const Tile& tile : plan.tiles) {
    const int64_t needed = WorkspaceElements(plan.parameters[tile.parameter]);
    elements[tile.shard] = std::max(elements[tile.shard], static_cast<uint64_t>(needed));
  }
  for (size_t s = 0; s < elements.size(); ++s) {
    const uint64_t bytes = elements[s] * sizeof(float);
    const ShardHolders& shard = plan.shape.shards[s];
    for (const int process : shard.owners) processes[process].workspace += bytes;
    for (const int process : shard.filling) processes[process].workspace += bytes;
  }
}

std::vector<ResidentBytes> MemoryXBytes(const Plan& plan, int gradient_buffers) {
  std::vector<ResidentBytes> processes(plan.shape.memoryx);
  const StateTable states = StatesOf(plan);
  const auto add = [&](int t, ResidentBytes& p) {
    const Tile& tile = plan.tiles[t];
    p.elements += tile.elements;
    p.weights += tile.elements * sizeof(float);
    for (const OptimizerState& state : states[tile.parameter]) {
      p.optimizer += ElementsOf(state, tile) * BytesOf(state.dtype);
    }
    const int blocks = plan.parameters[tile.parameter].contributions * gradient_buffers;
    p.gradients += blocks * plan.GradientBytes(t);
  };
  for (int t = 0; t < static_cast<int>(plan.tiles.size()); ++t) {
    const ShardHolders& shard = plan.shape.shards[plan.tiles[t].shard];
    for (const int process : shard.owners) add(t, processes[process]);
    for (const int process : shard.filling) add(t, processes[process]);
  }
  AddWorkspaces(plan, processes);
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
  if (!Trains(plan.job)) {
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

// Of one node's forward over one sequence, two a multiply-add of its products.
double NodeFlops(const Plan& plan, const GraphNode& node) {
  const double tokens = plan.job.model().context();
  switch (node.kind) {
    case OpKind::kMatmul:
    case OpKind::kLogits: {
      const Parameter& p = plan.parameters[node.matrices[0]];
      return 2 * tokens * p.rows * p.cols;
    }
    case OpKind::kExpertMatmul: {
      const Parameter& p = plan.parameters[node.matrices[0]];
      return 2 * tokens * node.attributes.experts_per_token * p.rows * p.cols;
    }
    case OpKind::kAttention:
      // Causal: of T tokens one attends to (T + 1) / 2 on average; scores and weighted values.
      return 2 * tokens * 2 * (node.attributes.q.heads * node.attributes.head_dim) * (tokens + 1) /
             2;
    default:
      return 0;
  }
}

double ForwardFlops(const Plan& plan) {
  double flops = 0;
  for (const GraphNode& node : plan.graph.nodes) flops += NodeFlops(plan, node);
  return flops;
}

// What backward computes again.
double RecomputeFlops(const Plan& plan) {
  double flops = plan.policy.keeps_logits ? 0 : NodeFlops(plan, plan.graph.Head());
  int last = -1;
  for (const Op& op : plan.program.backward) {
    const Operation& operation = plan.program.Of(op);
    if (op.operation == last || operation.backward || operation.node < 0) continue;
    last = op.operation;
    flops += NodeFlops(plan, plan.graph.nodes[operation.node]);
  }
  return flops;
}

}  // namespace

PlanCosts CostsOf(const Plan& plan) {
  PlanCosts costs;
  costs.gradient_buffers = Trains(plan.job) ? BuffersPerGradient(plan) : 0;
  costs.memoryx = MemoryXBytes(plan, costs.gradient_buffers);
  costs.swarmx = SwarmXBytes(plan);
  costs.traffic = TrafficOf(plan);
  const double sequences = plan.job.training().global_batch();
  // The gradients of a product are two products of its size.
  const double passes = Trains(plan.job) ? 3 : 1;
  costs.step_flops = passes * sequences * ForwardFlops(plan);
  if (Trains(plan.job)) costs.recompute_flops = sequences * RecomputeFlops(plan);
  costs.verify_flops = VerifiedShare(plan) * (costs.step_flops + costs.recompute_flops);
  return costs;
}

}  // namespace waferstream
