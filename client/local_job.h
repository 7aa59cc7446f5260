// One job on a local cluster that exists for it.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "client/progress.h"
#include "proto/controller.pb.h"

namespace waferstream {

struct LocalJobOptions {
  std::string dir;              // absolute, exists; gets logs/ and state/
  std::string kernel_isa = {};  // see LocalClusterOptions
  std::string trace = {};       // file for the cluster's trace; empty: none
  std::string fabric = {};      // the same
  int inherited_fd = -1;        // see LocalClusterOptions
  std::function<void(const JobStatus&)> on_status = [](const JobStatus&) {};
};

// Starts the cluster that the job asks for, runs the job and ends the cluster again, however the
// job ends. A process that dies meanwhile is started again. The status is in a final state, or
// PAUSED. Ctrl-C cancels the job; a second one does not wait for that (then the error is
// CANCELLED). Must run on the main thread.
absl::StatusOr<JobStatus> RunLocalJob(const JobSpec& job, const LocalJobOptions& options,
                                      Progress& progress);

}  // namespace waferstream
