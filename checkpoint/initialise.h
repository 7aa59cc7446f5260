// The weights a job starts from when it has no checkpoint.
#pragma once

#include <cstdint>

#include "base/parallel.h"
#include "checkpoint/tensor_io.h"
#include "plan/model.h"

namespace waferstream {

// Writes the initial values of rows [rows.first, +count) of parameter `index` (its place in the
// list) to `values`. Element e (row-major, system layout) is half of Philox draw e / 2 keyed by
// (seed, kInitialise, index): the same for any tiling and any number of threads.
void InitialiseRows(const Parameter& parameter, int index, uint64_t seed, RowSpan rows,
                    Parallel& parallel, float* values);

}  // namespace waferstream
