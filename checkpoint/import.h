// A model from elsewhere as a checkpoint of this system.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "checkpoint/disk.h"
#include "checkpoint/manifest.h"
#include "checkpoint/new_folder.h"

namespace waferstream {

// Writes the model at `from` (anything that CheckpointReader opens) as the checkpoint `to`, after 0
// steps, fp32, with the companion files. Reads every weight once, and none that is not a number is
// taken. Memory: one bounded piece. ALREADY_EXISTS: `to` is there; `from` is at fault: as
// CheckpointReader's Open and ReadFinite. After an error nothing is left.
absl::StatusOr<Manifest> ImportCheckpoint(Disk& disk, const std::string& from,
                                          const std::string& to,
                                          const OnProgress& on_progress = {});

}  // namespace waferstream
