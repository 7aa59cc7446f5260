// A checkpoint that is made without a cluster, of weights alone.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "checkpoint/disk.h"
#include "checkpoint/manifest.h"
#include "plan/model.h"
#include "plan/partition.h"

namespace waferstream {

// Gives rows of a parameter, row-major.
using FillRows = std::function<absl::Status(int parameter, RowSpan rows, float* values)>;

// Writes the checkpoint `path`, after 0 steps, of the job in `manifest`, with the weights that
// `fill` gives, in the order of parameters and rows. Memory: one bounded piece. ALREADY_EXISTS: it
// is there. DATA_LOSS: what lies beside the weights that the job starts from cannot be read. After
// an error nothing is left.
absl::StatusOr<Manifest> WriteNewCheckpoint(Disk& disk, const std::string& path,
                                            const std::vector<Parameter>& parameters,
                                            Manifest manifest, const FillRows& fill);

}  // namespace waferstream
