// Checkpoints that are made without a cluster.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/dtype.h"
#include "base/parallel.h"
#include "checkpoint/disk.h"
#include "checkpoint/manifest.h"
#include "proto/job.pb.h"

namespace waferstream {

// Writes the job's initial weights as the checkpoint `folder`, after 0 steps: the same bits that
// the job's MemoryX nodes would start from. Optimizer state is zero then and not written. Memory:
// one tile of tile_elements. ALREADY_EXISTS: the folder is there.
absl::StatusOr<Manifest> WriteInitialCheckpoint(Disk& disk, const JobSpec& job,
                                                const std::string& folder, Parallel& parallel);

// Writes config.json and model.safetensors of checkpoint `from` (this system's or Hugging Face's)
// to the new folder `to`, as fp32 or rounded to bf16. ALREADY_EXISTS: `to` is there; `from` is at
// fault: as CheckpointReader::Open.
absl::Status ExportCheckpoint(Disk& disk, const std::string& from, const std::string& to,
                              Dtype dtype);

}  // namespace waferstream
