#include "memoryx/tile_loader.h"

#include <algorithm>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/initialise.h"
#include "plan/job_kind.h"
#include "plan/optimizer_state.h"

namespace waferstream {
namespace {

using Load = std::function<absl::Status(HeldTile&)>;

std::vector<HeldTile*> OwnedTiles(const Plan& plan, int process, const TileStore& store) {
  std::vector<HeldTile*> owned;
  for (size_t local = 0; local < store.tiles().size(); ++local) {
    HeldTile& tile = store.tile(static_cast<int>(local));
    const auto& owners = plan.shape.shards[plan.tiles[tile.tile()].shard].owners;
    if (std::find(owners.begin(), owners.end(), process) != owners.end()) owned.push_back(&tile);
  }
  return owned;
}

// Tiles are loaded beside each other, each on one thread.
absl::Status LoadAll(const Plan& plan, const MemoryxPlace& place, const Load& load,
                     Parallel& parallel, const TileStore& store) {
  const std::vector<HeldTile*> owned = OwnedTiles(plan, place.process, store);
  std::vector<absl::Status> results(owned.size());
  parallel.For(static_cast<int>(owned.size()), [&](int i, int) {
    Serial serial;
    results[i] = load(*owned[i]);
    if (results[i].ok()) owned[i]->Stamp(place.start_step, serial);
  });
  for (const absl::Status& result : results) RETURN_IF_ERROR(result);
  return absl::OkStatus();
}

absl::Status Initialise(const Plan& plan, HeldTile& held) {
  const Tile& tile = plan.tiles[held.tile()];
  Serial serial;
  InitialiseRows(plan.parameters[tile.parameter], tile.parameter, plan.job.training().seed(),
                 {tile.first_row, tile.rows}, serial, held.weights());
  return absl::OkStatus();
}

// `kept`: the states to read; the tile's, or none.
absl::Status ReadTile(const CheckpointReader& reader, const Tile& tile,
                      std::span<const OptimizerState> kept, HeldTile& held) {
  const RowSpan rows = {tile.first_row, tile.rows};
  RETURN_IF_ERROR(reader.ReadWeights(tile.parameter, rows, held.weights()));
  for (size_t s = 0; s < kept.size(); ++s) {
    RETURN_IF_ERROR(reader.ReadState(tile.parameter, static_cast<int>(s), RowsOf(kept[s], tile),
                                     held.states()[s]));
  }
  return absl::OkStatus();
}

absl::Status LoadCheckpoint(Disk& disk, const Plan& plan, const MemoryxPlace& place,
                            const std::string& from, Parallel& parallel, const TileStore& store) {
  const bool resumes = Trains(plan.job) && place.start_step > 0;
  const StateTable states = resumes ? StatesOf(plan) : StateTable(plan.parameters.size());
  ASSIGN_OR_RETURN(const CheckpointReader reader,
                   CheckpointReader::Open(disk, from, plan.job.model(), plan.parameters, states));
  if (resumes && reader.manifest() && reader.manifest()->steps_done != place.start_step) {
    return absl::InvalidArgumentError(absl::StrCat("checkpoint ", from, " is after ",
                                                   reader.manifest()->steps_done, " steps, not ",
                                                   place.start_step));
  }
  if (place.process == 0 && reader.manifest()) RETURN_IF_ERROR(reader.Verify());
  const auto read = [&](HeldTile& held) {
    const Tile& tile = plan.tiles[held.tile()];
    if (!reader.Has(tile.parameter)) return Initialise(plan, held);
    return ReadTile(reader, tile, states[tile.parameter], held);
  };
  return LoadAll(plan, place, read, parallel, store);
}

}  // namespace

absl::Status LoadTiles(Disk& disk, const Plan& plan, const MemoryxPlace& place,
                       const std::string& restore, Parallel& parallel, const TileStore& store) {
  const std::string& from = restore.empty() ? plan.job.checkpoint().from() : restore;
  if (!from.empty()) {
    absl::Status status = LoadCheckpoint(disk, plan, place, from, parallel, store);
    if (status.ok()) return status;
    // What is wrong with a checkpoint that the job names is the job's mistake. One that it has made
    // itself was good: the disk fails, and that may pass.
    if (!restore.empty() || MayPass(status)) return absl::UnavailableError(status.message());
    return absl::InvalidArgumentError(absl::StrCat("checkpoint.from: ", status.message()));
  }
  if (!Trains(plan.job) || place.start_step > 0) {
    return absl::InvalidArgumentError(
        "checkpoint.from: is needed to generate, to evaluate or to resume");
  }
  return LoadAll(
      plan, place, [&](HeldTile& held) { return Initialise(plan, held); }, parallel, store);
}

}  // namespace waferstream
