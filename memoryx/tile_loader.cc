#include "memoryx/tile_loader.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/initialise.h"
#include "checkpoint/layout.h"

namespace waferstream {
namespace {

void Initialise(const Plan& plan, Parallel& parallel, TileStore& store) {
  for (size_t local = 0; local < store.tiles().size(); ++local) {
    const Tile& tile = plan.tiles[store.tiles()[local]];
    InitialiseRows(plan.parameters[tile.parameter], tile.parameter, plan.job.training().seed(),
                   {tile.first_row, tile.rows}, parallel, store.weights(static_cast<int>(local)));
  }
}

absl::Status ReadTile(const CheckpointReader& reader, const Tile& tile, bool with_states, int local,
                      TileStore& store) {
  const RowSpan rows = {tile.first_row, tile.rows};
  RETURN_IF_ERROR(reader.ReadWeights(tile.parameter, rows, store.weights(local)));
  if (!with_states) return absl::OkStatus();
  const auto states = store.states(local);
  for (size_t s = 0; s < states.size(); ++s) {
    RETURN_IF_ERROR(reader.ReadState(tile.parameter, static_cast<int>(s), rows, states[s]));
  }
  return absl::OkStatus();
}

absl::Status ReadTiles(const Plan& plan, const CheckpointReader& reader, bool with_states,
                       Parallel& parallel, TileStore& store) {
  const int count = static_cast<int>(store.tiles().size());
  std::vector<absl::Status> results(count);
  parallel.For(count, [&](int local, int) {
    results[local] = ReadTile(reader, plan.tiles[store.tiles()[local]], with_states, local, store);
  });
  for (const absl::Status& result : results) RETURN_IF_ERROR(result);
  return absl::OkStatus();
}

absl::Status LoadCheckpoint(Disk& disk, const Plan& plan, const MemoryxPlace& place,
                            Parallel& parallel, TileStore& store) {
  const std::string& from = plan.job.checkpoint().from();
  const bool resumes = !plan.is_generation() && place.start_step > 0;
  std::vector<std::string> states;
  if (resumes) states = OptimizerStates(plan.job.training().optimizer());
  ASSIGN_OR_RETURN(const CheckpointReader reader,
                   CheckpointReader::Open(disk, from, plan.job.model(), plan.parameters, states));
  if (resumes && reader.manifest() && reader.manifest()->steps_done != place.start_step) {
    return absl::InvalidArgumentError(absl::StrCat("checkpoint ", from, " is after ",
                                                   reader.manifest()->steps_done, " steps, not ",
                                                   place.start_step));
  }
  if (place.process == 0 && reader.manifest()) RETURN_IF_ERROR(reader.Verify());
  return ReadTiles(plan, reader, resumes, parallel, store);
}

}  // namespace

absl::Status LoadTiles(Disk& disk, const Plan& plan, const MemoryxPlace& place, Parallel& parallel,
                       TileStore& store) {
  if (!plan.job.checkpoint().from().empty()) {
    // Whatever is wrong with the checkpoint is the job's mistake, not this node's.
    const absl::Status status = LoadCheckpoint(disk, plan, place, parallel, store);
    return status.ok() ? status : absl::InvalidArgumentError(status.message());
  }
  if (plan.is_generation() || place.start_step > 0) {
    return absl::InvalidArgumentError("checkpoint.from: is needed to generate or to resume");
  }
  Initialise(plan, parallel, store);
  return absl::OkStatus();
}

}  // namespace waferstream
