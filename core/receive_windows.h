// The receive windows of one side of a tree node: where the frames of its channels land.
//
// A channel's place among them is its port. Slots are granted when the epoch starts and again
// whenever one is free, so that every slot is always taken, or granted, and never both.
//
// Memory is the caller's, of Bytes(); nothing is allocated later. Not thread-safe.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "core/role_core.h"
#include "core/slot_pool.h"
#include "plan/plan.h"

namespace waferstream {

class ReceiveWindows {
 public:
  static size_t Bytes(const Plan& plan, FrameKind kind, const std::vector<ChannelId>& channels);

  // All channels carry frames of `kind`, a tile or a gradient, to this side. The plan outlives it.
  ReceiveWindows(const Plan& plan, FrameKind kind, std::vector<ChannelId> channels,
                 std::span<std::byte> memory);

  // Grants every window.
  void Start(Turn& turn) const;

  // The channel must be one of them.
  int PortOf(ChannelId channel) const;
  // A free slot for a frame of `tile`. RESOURCE_EXHAUSTED: the peer sends more than it was granted.
  absl::StatusOr<int> Take(int port, int tile);
  // Frees a slot and grants it to the peer that it belongs to.
  void Release(int slot, Turn& turn);

  std::byte* bytes(int slot) const { return slots_.bytes(slot); }
  SlotClass slot_class(int slot) const { return slots_.slot_class(slot); }
  // Slots of all channels.
  int size() const { return slots_.size(); }

 private:
  const Plan& plan_;
  const FrameKind kind_;
  const std::vector<ChannelId> channels_;  // by port
  SlotPool slots_;
};

}  // namespace waferstream
