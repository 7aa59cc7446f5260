// Whether a job can run at all.
#pragma once

#include "absl/status/statusor.h"
#include "checkpoint/disk.h"
#include "controller/admitted_job.h"
#include "proto/job.pb.h"

namespace waferstream {

// Compiles the job for the cluster it asks for, and finds out at which step it starts: that of
// the checkpoint it comes from, 0 when that is another system's or there is none. Reads that
// checkpoint's manifest, so it may block on the disk; thread-safe. A job that goes on takes over
// what its weights depend on (checkpoint/go_on.h).
// INVALID_ARGUMENT, RESOURCE_EXHAUSTED: why not, one line (plan.h, go_on.h).
absl::StatusOr<AdmittedJob> Admit(Disk& disk, const JobSpec& job);

}  // namespace waferstream
