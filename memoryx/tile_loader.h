// Fills a TileStore with the state a job starts from.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "base/parallel.h"
#include "checkpoint/disk.h"
#include "memoryx/place.h"
#include "memoryx/tile_store.h"
#include "plan/plan.h"

namespace waferstream {

// Every tile that the process owns: from the checkpoint `restore`, or, when that is empty, from
// job.checkpoint.from, or, when that is empty, too, the deterministic initial weights. Optimizer
// state is read when place.start_step > 0; otherwise it stays zero. Process 0 also verifies the
// checkpoint's hashes, which reads all of it.
// INVALID_ARGUMENT: the checkpoint is missing, damaged, of another model, or of another step.
absl::Status LoadTiles(Disk& disk, const Plan& plan, const MemoryxPlace& place,
                       const std::string& restore, Parallel& parallel, const TileStore& store);

}  // namespace waferstream
