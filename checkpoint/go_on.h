// A run that goes on from a checkpoint is the run that wrote it: what the next step's bits depend
// on is compared, taken over, or refused by name.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "checkpoint/manifest.h"
#include "proto/job.pb.h"

namespace waferstream {

struct GoingOn {
  // The job, with the amendments of the one that wrote the checkpoint, and with what was accepted.
  JobSpec job;
  // What its wafers must compute with; empty: anything.
  std::string kernel_isa;
  // One line for each thing that could not be checked, or was accepted.
  std::vector<std::string> notes;
};

// `manifest`: of job.checkpoint.from; after 0 steps there is nothing to go on with, and the job
// starts afresh. `kernel_isa`: of the wafers, empty while they are not known. INVALID_ARGUMENT, one
// line naming checkpoint.from and every key that differs with both values: it is not among
// job.checkpoint.accept. Doing it again to its result changes nothing.
absl::StatusOr<GoingOn> GoOnFrom(const JobSpec& job, const Manifest& manifest,
                                 const std::string& kernel_isa = "");

}  // namespace waferstream
