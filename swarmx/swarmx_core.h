// SwarmX: broadcasts weights down and reduces gradients up.
//
// One core serves every tree node that the plan gives its process. The nodes share nothing but the
// process: each has its own windows, and two of them that are parent and child talk through the
// fabric like any others.
//
// Lifecycle: Create allocates every window (and nothing is allocated for a tile afterwards); Start
// grants them; the core then works until it is destroyed. It keeps no state that a commit would
// have to know of: abandoning a step means destroying it.
//
// Threads: all calls from one executor (core/role_core.h). Danger: destroying it while a batch of
// additions runs on the compute lane frees the memory under it; the shell stops lanes first.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/arena.h"
#include "core/role_core.h"
#include "plan/plan.h"
#include "swarmx/gradient_reducer.h"
#include "swarmx/tile_relay.h"

namespace waferstream {

class SwarmxCore final : public RoleCore {
 public:
  // The core of process `process`; `plan` must outlive it. RESOURCE_EXHAUSTED: no memory.
  static absl::StatusOr<std::unique_ptr<SwarmxCore>> Create(const Plan& plan, int process,
                                                            uint32_t epoch, uint64_t start_step);

  // Payload memory: the windows of all channels of its tree nodes, to the byte.
  size_t resident_bytes() const { return memory_.size(); }

  void Start(Turn& turn) override;
  absl::StatusOr<std::span<std::byte>> BufferFor(ChannelId channel,
                                                 const FrameHeader& header) override;
  absl::Status OnFrame(ChannelId channel, const FrameHeader& header, const std::byte* payload,
                       Turn& turn) override;
  void OnCredit(ChannelId channel, FrameKind kind, const Credit& credit, Turn& turn) override;
  void OnSent(uint64_t token, Turn& turn) override;
  absl::Status OnComputeDone(uint64_t id, const absl::Status& status, Turn& turn) override;

 private:
  struct Node {
    std::unique_ptr<TileRelay> relay;
    std::unique_ptr<GradientReducer> reducer;
  };

  SwarmxCore(const Plan& plan, int process, uint64_t start_step, Arena memory);
  void AddNode(int node, uint32_t epoch, uint64_t start_step, size_t& offset);
  // The tree node of this process at the receiving (or, for credit, sending) end; nullptr: none.
  Node* At(const Endpoint& end);
  void CountSentBlock(Turn& turn);

  const Plan& plan_;
  const int process_;
  Arena memory_;
  std::vector<Node> nodes_;  // by index in plan_.tree_nodes; those of other processes are empty
  TrafficCounters traffic_;
  uint64_t blocks_per_step_ = 0;  // that all nodes of this process send up
  uint64_t blocks_sent_ = 0;      // of the current step
  uint64_t step_;
};

}  // namespace waferstream
