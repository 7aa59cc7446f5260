// Where checkpoints go: the core's view of a file system.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "plan/plan.h"

namespace waferstream {

// Called on Lane::kDisk, one checkpoint after the other: Begin, Write for every owned tile in any
// order, Finish. After an error there is no further call for that checkpoint.
class CheckpointSink {
 public:
  virtual ~CheckpointSink() = default;
  virtual absl::Status Begin(uint64_t steps_done) = 0;
  // `states`: one array for each that the optimizer keeps of the tile.
  virtual absl::Status Write(const Tile& tile, const float* weights,
                             std::span<std::byte* const> states) = 0;
  // Returns when everything written is durable, and visible to every process.
  virtual absl::Status Finish() = 0;
};

}  // namespace waferstream
