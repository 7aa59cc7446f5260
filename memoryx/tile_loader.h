// Fills a TileStore with the state a job starts from.
#pragma once

#include "absl/status/status.h"
#include "base/parallel.h"
#include "checkpoint/disk.h"
#include "memoryx/place.h"
#include "memoryx/tile_store.h"
#include "plan/plan.h"

namespace waferstream {

// From job.checkpoint.from, or, when that is empty, the deterministic initial weights. Optimizer
// state is read when place.start_step > 0; otherwise it stays zero. Process 0 also verifies the
// checkpoint's hashes, which reads all of it.
// INVALID_ARGUMENT: the checkpoint is missing, damaged, of another model, or of another step.
absl::Status LoadTiles(Disk& disk, const Plan& plan, const MemoryxPlace& place, Parallel& parallel,
                       TileStore& store);

}  // namespace waferstream
