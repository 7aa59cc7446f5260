// Where everything is: the regions of the plan's SRAM layout, as addresses.
//
// Claims every region of the layout from the arena once, so that the arena's peak is what was
// planned, whatever the ops then write to. Immutable afterwards and safe to read from any thread;
// who may touch what is behind an address is decided by whoever runs the ops. Arena and plan
// must outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/arena.h"
#include "plan/plan.h"

namespace waferstream {

class AddressBook {
 public:
  AddressBook(const Plan& plan, Arena& arena);

  // A value of the program, of resident micro-batch `resident` (0-based within the wave).
  std::byte* ValueAt(int value, int resident) const {
    return activations_.base + resident * activations_.part_bytes + offsets_[value];
  }

  // An array of resident micro-batch `resident`.
  template <typename T>
  T* As(SramBuffer buffer, int resident) const {
    return reinterpret_cast<T*>(Part(buffer, resident).data());
  }

  // Part `index` of a region.
  std::span<std::byte> Part(SramBuffer buffer, int index, int plane = 0) const;
  // Parts of a region; 0 when this job has none.
  int Parts(SramBuffer buffer, int plane = 0) const;

 private:
  struct Region {
    SramBuffer buffer;
    int plane;
    std::byte* base;
    size_t part_bytes;
    int parts;
  };
  const Region* Find(SramBuffer buffer, int plane) const;

  std::vector<Region> regions_;
  const std::vector<size_t>& offsets_;  // Plan::places
  Region activations_;
};

}  // namespace waferstream
