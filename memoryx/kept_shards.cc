#include "memoryx/kept_shards.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/mark.h"
#include "base/status.h"

namespace waferstream {
namespace {

bool Contains(const std::vector<int>& processes, int process) {
  return std::find(processes.begin(), processes.end(), process) != processes.end();
}

// Whether the first `tiles` are at `step`, or one update away from it, and sound.
bool Reaches(ShardMemory& shard, size_t tiles, uint64_t step) {
  return std::all_of(shard.tiles().begin(), shard.tiles().begin() + tiles,
                     [&](const HeldTile& tile) {
                       const uint64_t version = tile.version();
                       if (version == HeldTile::kAbsent || tile.damaged()) return false;
                       return version == step || (version + 1 == step && tile.HasGradient(version));
                     });
}

// The update that may still be due to some of the first `tiles` of the shard. FAILED_PRECONDITION:
// it does not get to start_step by one.
absl::StatusOr<std::optional<StepUpdate>> UpdateFor(ShardMemory& shard, size_t tiles,
                                                    uint64_t start_step,
                                                    const std::optional<StepUpdate>& last_commit) {
  const bool heard = shard.committed() == start_step;
  const bool adopts =
      shard.committed() + 1 == start_step && last_commit && last_commit->step == shard.committed();
  if ((heard || adopts) && Reaches(shard, tiles, start_step)) {
    return heard ? shard.update() : last_commit;
  }
  return absl::FailedPreconditionError(absl::StrCat("shard ", shard.shard(), " is kept after ",
                                                    shard.committed(), " steps, not after ",
                                                    start_step));
}

// Tiles are updated beside each other, each on one thread; those that share a workspace one after
// the other.
absl::Status Apply(const Plan& plan, ShardMemory& shard, const StepUpdate& update,
                   Parallel& parallel) {
  const int count = static_cast<int>(shard.tiles().size());
  std::vector<absl::Status> results(count);
  const auto apply = [&](int i, Parallel& threads) {
    HeldTile& tile = shard.tiles()[i];
    if (tile.version() != update.step) return;
    WS_MARK("memoryx: an update that an epoch left due");
    results[i] = tile.Update(plan.job.training().optimizer(), update, threads);
  };
  parallel.For(count, [&](int i, int) {
    Serial serial;
    if (!shard.tiles()[i].NeedsWorkspace()) apply(i, serial);
  });
  for (int i = 0; i < count; ++i) {
    if (shard.tiles()[i].NeedsWorkspace()) apply(i, parallel);
  }
  for (const absl::Status& result : results) {
    if (!result.ok()) return absl::FailedPreconditionError(result.message());
  }
  return absl::OkStatus();
}

}  // namespace

std::shared_ptr<ShardMemory> KeptShards::Find(int shard) const {
  const auto at = std::find_if(shards_.begin(), shards_.end(),
                               [&](const auto& kept) { return kept->shard() == shard; });
  return at == shards_.end() ? nullptr : *at;
}

absl::StatusOr<std::vector<KeptShards::Due>> KeptShards::FindDue(
    const Plan& plan, const MemoryxPlace& place,
    const std::optional<StepUpdate>& last_commit) const {
  std::vector<Due> due;
  for (size_t s = 0; s < plan.shape.shards.size(); ++s) {
    const int shard = static_cast<int>(s);
    const bool owns = Contains(plan.shape.shards[s].owners, place.process);
    const size_t filled = place.FilledTiles(shard, place.process);
    if (!owns && filled == 0) continue;
    std::shared_ptr<ShardMemory> kept = Find(shard);
    if (kept == nullptr || (owns && !kept->IsWhole()) || filled > kept->tiles().size()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "does not hold ", owns ? "" : absl::StrCat(filled, " tiles of "), "shard ", s));
    }
    const size_t tiles = owns ? kept->tiles().size() : filled;
    const auto update = UpdateFor(*kept, tiles, place.start_step, last_commit);
    if (!update.ok() && !owns) {
      return absl::FailedPreconditionError(absl::StrCat(
          "does not hold ", filled, " tiles of shard ", s, " after ", place.start_step, " steps"));
    }
    RETURN_IF_ERROR(update.status());
    due.push_back({std::move(kept), tiles, *update});
  }
  return due;
}

absl::Status KeptShards::Settle(const Plan& plan, const MemoryxPlace& place,
                                const std::optional<StepUpdate>& last_commit, Parallel& parallel) {
  ASSIGN_OR_RETURN(const std::vector<Due> all_due, FindDue(plan, place, last_commit));
  for (const auto& [shard, tiles, update] : all_due) {
    if (tiles < shard->tiles().size()) WS_MARK("memoryx: a fill went on where it was");
    for (size_t t = tiles; t < shard->tiles().size(); ++t) shard->tiles()[t].Forget();
    if (!update) continue;
    if (shard->committed() < place.start_step) {
      WS_MARK("memoryx: adopted an unannounced commit");
      shard->Commit(*update);
    }
    RETURN_IF_ERROR(Apply(plan, *shard, *update, parallel));
  }
  return absl::OkStatus();
}

absl::StatusOr<TileStore::Shards> KeptShards::Allocate(const Plan& plan, const MemoryxPlace& place,
                                                       MemoryFaults* faults) {
  const auto& holders = plan.shape.shards;
  std::erase_if(shards_, [&](const auto& kept) {
    return !Contains(holders[kept->shard()].owners, place.process) &&
           place.FilledTiles(kept->shard(), place.process) == 0;
  });
  TileStore::Shards held;
  for (size_t s = 0; s < holders.size(); ++s) {
    const int shard = static_cast<int>(s);
    const bool owns = Contains(holders[s].owners, place.process);
    if (!owns && !Contains(holders[s].filling, place.process)) continue;
    std::shared_ptr<ShardMemory> memory = Find(shard);
    if (memory == nullptr) {
      ASSIGN_OR_RETURN(memory, ShardMemory::Create(plan, shard, faults));
      memory->BeginAt(place.start_step);
    }
    held.push_back(std::move(memory));
  }
  shards_ = held;
  return held;
}

}  // namespace waferstream
