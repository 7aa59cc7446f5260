// A generation or an evaluation, here or on a cluster that is there.
#pragma once

#include <functional>

#include "absl/status/statusor.h"
#include "client/controller_address.h"
#include "client/progress.h"
#include "proto/controller.pb.h"

namespace waferstream {

// Runs the job on the controller's cluster or, if the flags name none, on a local one with a
// temporary folder, both gone afterwards. The last status; Ctrl-C cancels the job. Must run on the
// main thread.
absl::StatusOr<JobStatus> RunForwardJob(const JobSpec& job, const ControllerFlags& controller,
                                        std::function<void(const JobStatus&)> on_status,
                                        Progress& progress);

}  // namespace waferstream
