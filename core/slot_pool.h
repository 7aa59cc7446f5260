// The receive slots of one side of a tree node: a window of small and large ones for each of its
// ports (the channels that it receives from). Slots never move between ports: a port's free slots
// are exactly what its peer may still send.
//
// Memory is the caller's, of WindowBytes() for every port together; nothing is allocated later.
// Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "base/credit.h"

namespace waferstream {

class SlotPool {
 public:
  // Capacity of a small and of a large slot.
  using SlotBytes = std::array<size_t, kSlotClasses>;

  // What one port's window occupies; slots are padded to 64 bytes, so that none shares a cache
  // line.
  static size_t WindowBytes(const Credit& window, const SlotBytes& slot_bytes);

  SlotPool(const std::vector<Credit>& windows, const SlotBytes& slot_bytes,
           std::span<std::byte> memory);

  // A free slot of this port. RESOURCE_EXHAUSTED: the peer sends more than it was granted.
  absl::StatusOr<int> Take(int port, SlotClass slot_class);
  // The slot is free again; the caller owes its port a credit.
  void Free(int slot);

  std::byte* bytes(int slot) const { return slots_[slot].bytes; }
  int port(int slot) const { return slots_[slot].port; }
  SlotClass slot_class(int slot) const { return slots_[slot].slot_class; }
  // Of all ports.
  int size() const { return static_cast<int>(slots_.size()); }

 private:
  struct Slot {
    int port;
    SlotClass slot_class;
    std::byte* bytes;
    bool taken;
  };

  std::vector<Slot> slots_;
  std::vector<std::array<std::vector<int>, kSlotClasses>> free_;  // [port][class], a stack
};

}  // namespace waferstream
