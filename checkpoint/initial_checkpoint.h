// The checkpoint that a job begins with, made without a cluster.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "base/parallel.h"
#include "checkpoint/disk.h"
#include "checkpoint/manifest.h"
#include "proto/job.pb.h"

namespace waferstream {

// Writes the job's initial weights as the checkpoint `folder`, after 0 steps: the same bits that
// the job's MemoryX nodes would start from. Optimizer state is zero then and not written. Memory:
// one bounded piece. ALREADY_EXISTS: the folder is there.
absl::StatusOr<Manifest> WriteInitialCheckpoint(Disk& disk, const JobSpec& job,
                                                const std::string& folder, Parallel& parallel);

}  // namespace waferstream
