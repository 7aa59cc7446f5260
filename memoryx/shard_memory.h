// What one MemoryX process keeps of one shard: its tiles, the newest commit that it heard of, and
// the gradients of the step after it. Outlives the epochs; a core shares it with its role.
//
// Gradient buffers are of one epoch, because their number follows from its waves; but they stay
// until the next epoch makes its own, since the updates of the last commit may still need them.
//
//   bytes = those of weights and optimizer state (HeldTile::Bytes)
//         + the optimizer's workspace (WorkspaceElements)
//         + 4 * elements * contributions * buffers, each padded to 64 bytes
//
// Threads: commits belong to the core's executor; tiles as HeldTile says. Whoever looks at it
// between two epochs is alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/arena.h"
#include "memoryx/held_tile.h"
#include "memoryx/memory_faults.h"
#include "memoryx/optimizer_rule.h"
#include "plan/plan.h"

namespace waferstream {

class ShardMemory {
 public:
  // All tiles are absent and zero, with the plan's optimizer state. `faults` outlives the shard; it
  // may be null. RESOURCE_EXHAUSTED: the memory is not there.
  static absl::StatusOr<std::shared_ptr<ShardMemory>> Create(const Plan& plan, int shard,
                                                             MemoryFaults* faults);

  int shard() const { return shard_; }
  std::deque<HeldTile>& tiles() { return tiles_; }  // in plan order

  // Whether every tile is here, and none was found damaged.
  bool IsWhole() const;

  // The number of steps that are history, and the last of them (none yet if it was loaded so).
  uint64_t committed() const { return committed_; }
  const std::optional<StepUpdate>& update() const { return update_; }
  void BeginAt(uint64_t committed);
  void Commit(const StepUpdate& update);

  // Room for `buffers` blocks of every gradient of this plan; what the last epoch's held is gone.
  // RESOURCE_EXHAUSTED: the memory is not there.
  absl::Status MakeGradientBuffers(const Plan& plan, int buffers);
  // The first buffer of contribution 0 of tiles()[index]; the others follow, padded to 64 bytes.
  float* gradient_buffers(size_t index) const { return gradient_buffers_[index]; }

  size_t bytes() const { return memory_.size() + (gradients_ ? gradients_->size() : 0); }

 private:
  ShardMemory(int shard, Arena memory) : shard_(shard), memory_(std::move(memory)) {}

  const int shard_;
  Arena memory_;
  std::deque<HeldTile> tiles_;  // which do not move
  uint64_t committed_ = 0;
  std::optional<StepUpdate> update_;
  std::optional<Arena> gradients_;
  std::vector<float*> gradient_buffers_;
};

// Floats of one gradient buffer, so that no two share a cache line.
inline size_t PaddedElements(const Tile& tile) { return (tile.elements + 15) / 16 * 16; }

}  // namespace waferstream
