// The way up through one tree node: adds the gradient blocks of its children as far as the
// canonical sum allows and sends on what remains.
//
// Follow one gradient: each child delivers the blocks that the plan says its subtree makes, in
// order; a block whose sibling is held is added to it on the compute lane, and the sum takes its
// place; what has no sibling below this node goes up, in plan order, to the parent (at the root: to
// every MemoryX process that holds the tile).
//
// Invariants:
// 1. A slot holds exactly one block, from its arrival until it was added to another or sent to all.
// 2. Additions happen in batches, one batch at a time; slots of a running batch are in no set.
// 3. A block of zeros comes as a header alone. Its slot's bytes are only set when it is added to
// one
//    that has some; so the bits are those of a sum with zeros.
// 4. Arrival order decides when two blocks are added, never which two: the bits are the plan's.
// 5. A block that a child lends is added from where it lies, into its slot's own bytes, and then
//    returned. What goes up is lent, be it the child's or the slot's: blocks go in plan order on
//    every channel, so the first that is not yet in MemoryX waits for none behind it.
//
// Not thread-safe; owned by the SwarmxCore, which calls it from the role's executor.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/receive_windows.h"
#include "core/role_core.h"
#include "core/stream_cursor.h"
#include "plan/canonical_sum.h"
#include "plan/plan.h"

namespace waferstream {

class GradientReducer {
 public:
  // Bytes of the receive slots of this tree node's children.
  static size_t ResidentBytes(const Plan& plan, const TreeNode& node);

  // `self` is the node's endpoint. Tokens of its sends are token_base + slot; its one computation
  // at a time has the id `compute_id`.
  GradientReducer(const Plan& plan, const Endpoint& self, uint32_t epoch, uint64_t start_step,
                  uint64_t token_base, uint64_t compute_id, std::span<std::byte> memory,
                  TrafficCounters* traffic);

  void Start(Turn& turn) { slots_.Start(turn); }
  absl::StatusOr<std::span<std::byte>> BufferFor(ChannelId channel, const FrameHeader& header);
  void OnFrame(ChannelId channel, const FrameHeader& header, const std::byte* payload, Turn& turn);
  // From a parent.
  void OnCredit(ChannelId channel, const Credit& credit, Turn& turn);
  // Whether this was the last of the block's sends.
  bool OnSent(int slot, Turn& turn);
  void OnComputeDone(Turn& turn);

  // Blocks that this node sends up in a step.
  uint64_t blocks_per_step() const { return out_.blocks_per_step(); }

 private:
  struct Child {
    GradientCursor due;                 // what it sends next
    std::optional<uint64_t> receiving;  // item of the block between BufferFor and OnFrame
    BlockRange receiving_range;
    int receiving_slot = 0;
  };
  struct Parent {
    ChannelId channel;
    CreditBalance credit;
  };
  struct Addition {
    uint64_t item;
    Merge merge;  // buffers are slots
  };

  void Insert(uint64_t item, BlockRange range, int slot);
  void StartBatch(Turn& turn);
  // Sends what is finished, in order, as far as credit goes.
  void Send(Turn& turn);
  // The slot of the block that is due to go up; nullopt: it is not finished.
  std::optional<int> DueSlot() const;
  // Whose gradient this is; more than one only at the root.
  std::vector<Parent*> ParentsFor(int tile);

  const Plan& plan_;
  const uint64_t token_base_;
  const uint64_t compute_id_;
  TrafficCounters* const traffic_;
  std::vector<Child> children_;  // by port
  std::vector<Parent> parents_;
  ReceiveWindows slots_;
  GradientCursor out_;                 // what goes up next
  std::map<uint64_t, BlockSet> open_;  // by item; at most one a slot
  std::vector<int> sends_left_;        // by slot
  std::vector<bool> zero_;             // by slot: the block came without its zeros
  std::vector<Addition> due_;          // for the next batch
  std::vector<Addition> running_;      // the batch on the compute lane; empty: there is none
  double batch_started_s_ = 0;
};

}  // namespace waferstream
