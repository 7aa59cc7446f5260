// The receive windows of one side of a tree node: where the frames of its channels land, or where
// those lie that were lent.
//
// A channel's place among them is its port. Slots are granted when the epoch starts and again
// whenever one is free, so that every slot is always taken, or granted, and never both.
//
// Memory is the caller's, of Bytes(); nothing is allocated later. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
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
  // The frame of a slot that was taken for it is here, at `payload` (RoleCore::OnFrame).
  void Arrived(int slot, const FrameHeader& header, const std::byte* payload);
  // The payload of a slot is not needed any more where it is lent; from now on it is bytes().
  void Return(int slot, Turn& turn);
  // Frees a slot, returns what was lent, and grants it to the peer that it belongs to.
  void Release(int slot, Turn& turn);

  // The slot's own.
  std::byte* bytes(int slot) const { return slots_.bytes(slot); }
  // Where what arrived is to be read: there, or in the peer's memory.
  const std::byte* payload(int slot) const { return held_[slot].payload; }
  bool lent(int slot) const { return held_[slot].lent.has_value(); }
  int port(int slot) const { return slots_.port(slot); }
  SlotClass slot_class(int slot) const { return slots_.slot_class(slot); }
  // Slots of all channels.
  int size() const { return slots_.size(); }

 private:
  struct Held {
    const std::byte* payload = nullptr;
    std::optional<uint64_t> lent = {};  // the sequence of its frame
  };

  const Plan& plan_;
  const FrameKind kind_;
  const std::vector<ChannelId> channels_;  // by port
  SlotPool slots_;
  std::vector<Held> held_;  // by slot
};

}  // namespace waferstream
