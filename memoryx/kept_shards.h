// The shards that a MemoryX process keeps from one epoch to the next.
//
// Between two epochs a shard may be in the middle of anything that an epoch does (shard_memory.h).
// Settle() brings it to one step again: it carries out the updates of a commit that had not reached
// every tile, and adopts a commit that was made but did not reach this process. Whatever was summed
// of a step without a commit is thrown away.
//
// Called while no core and no lane is there.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/parallel.h"
#include "memoryx/memory_faults.h"
#include "memoryx/optimizer_rule.h"
#include "memoryx/place.h"
#include "memoryx/tile_store.h"
#include "plan/plan.h"

namespace waferstream {

class KeptShards {
 public:
  void Forget() { shards_.clear(); }

  // Every shard that the process owns in this plan is afterwards at place.start_step, and of those
  // that it goes on filling the first place.filled_tiles are; the others are absent.
  // `last_commit`: of step place.start_step - 1, if it is known.
  // FAILED_PRECONDITION: some of that is not here, or damaged, or cannot get to that step; nothing
  // that matters for another attempt has changed then.
  absl::Status Settle(const Plan& plan, const MemoryxPlace& place,
                      const std::optional<StepUpdate>& last_commit, Parallel& parallel);

  // The shards that the process holds in this plan, in order: those kept that it owns or goes on
  // filling, others new, with absent tiles and the machine's `faults` (null: it is sound). Forgets
  // the rest. RESOURCE_EXHAUSTED: the memory is not there.
  absl::StatusOr<TileStore::Shards> Allocate(const Plan& plan, const MemoryxPlace& place,
                                             MemoryFaults* faults);

 private:
  // What Settle has to bring to the start step: the first `tiles` of a shard.
  struct Due {
    std::shared_ptr<ShardMemory> shard;
    size_t tiles;
    std::optional<StepUpdate> update;
  };

  std::shared_ptr<ShardMemory> Find(int shard) const;
  absl::StatusOr<std::vector<Due>> FindDue(const Plan& plan, const MemoryxPlace& place,
                                           const std::optional<StepUpdate>& last_commit) const;

  TileStore::Shards shards_;  // in order
};

}  // namespace waferstream
