// The job's optimizer, applied to one tile.
#pragma once

#include "base/parallel.h"
#include "memoryx/tile_arrays.h"
#include "proto/job.pb.h"

namespace waferstream {

// Whether a tile's rule looks at one element at a time: then any piece of it may be updated by
// itself.
bool IsElementwise(const Optimizer& optimizer, bool orthogonal);

// Splits the tile over the threads; the bits do not depend on how.
void ApplyUpdate(const Optimizer& optimizer, const StepUpdate& update, const TileArrays& tile,
                 Parallel& parallel);

}  // namespace waferstream
