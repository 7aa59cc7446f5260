// A machine that flips one bit of a tile's DRAM, as a FaultSpec says, once, and does not notice. In
// test builds only.
#pragma once

#include <atomic>

#include "base/fault_spec.h"
#include "memoryx/memory_faults.h"

namespace waferstream {

// When the tile has reached version spec.step, right after its checksums were taken, bit spec.bit
// of its weights and optimizer state flips.
class BitFlip final : public MemoryFaults {
 public:
  explicit BitFlip(const FaultSpec& spec) : spec_(spec) {}

  void OnWritten(int tile, uint64_t version, std::span<std::byte> bytes) override;

 private:
  const FaultSpec spec_;
  std::atomic<bool> flipped_{false};  // lanes and Prepare's threads may come at once
};

}  // namespace waferstream
