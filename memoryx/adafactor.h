// Adafactor (arXiv:1804.04235) as PyTorch has it: of a matrix the mean squares of its rows and of
// its columns are kept, of a vector every square; an update is as large as the tensor that it
// changes, in root mean square, times the learning rate.
#pragma once

#include "base/parallel.h"
#include "memoryx/tile_arrays.h"
#include "proto/job.pb.h"

namespace waferstream {

// Needs no workspace: directions are computed twice. Sums are taken in double, in an order that
// does not depend on the threads.
void ApplyAdafactor(const Adafactor& adafactor, const StepUpdate& update, const TileArrays& tile,
                    Parallel& parallel);

}  // namespace waferstream
