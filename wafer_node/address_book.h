// Where everything is: the regions of the plan's SRAM layout, as addresses.
//
// Claims every region of the layout from the arena once, so that the arena's peak is what was
// planned, whatever the ops then write to. Immutable afterwards and safe to read from any thread;
// who may touch what is behind an address is decided by whoever runs the ops. The arena must
// outlive it.
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

  // An activation of resident micro-batch `resident` (0-based within the wave) at `layer`. Layers
  // wrap around when the region has fewer sets than layers. The region must exist.
  std::byte* At(SramBuffer buffer, int resident, int layer = 0) const;
  template <typename T>
  T* As(SramBuffer buffer, int resident, int layer = 0) const {
    return reinterpret_cast<T*>(At(buffer, resident, layer));
  }

  // Part `index` of a region that has nothing to do with layers.
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

  int resident_max_;  // those that are only checked included
  std::vector<Region> regions_;
};

}  // namespace waferstream
