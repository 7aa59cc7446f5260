// What goes wrong in a machine's DRAM and is not noticed there. A production node has none; a test
// build flips bits (bit_flip.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace waferstream {

class MemoryFaults {
 public:
  virtual ~MemoryFaults() = default;

  // A tile's weights and optimizer state have been written, and their checksums taken, at the
  // version that they now have. On the lane that wrote them, or a thread of Prepare.
  virtual void OnWritten(int tile, uint64_t version, std::span<std::byte> bytes) = 0;
};

}  // namespace waferstream
