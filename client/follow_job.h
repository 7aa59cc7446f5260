// Waiting for a job, with progress for the user and Ctrl-C in the user's hand.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "client/controller_client.h"
#include "client/interrupt.h"
#include "client/progress.h"

namespace waferstream {

enum class OnInterrupt {
  kDetach,     // leave the job alone and return
  kCancelJob,  // cancel it and wait for that; a second interrupt does not wait
};

struct FollowOptions {
  OnInterrupt on_interrupt = OnInterrupt::kDetach;
  // Called about ten times a second; an error ends the waiting with it.
  std::function<absl::Status()> check = [] { return absl::OkStatus(); };
  std::function<void(const JobStatus&)> on_status = [](const JobStatus&) {};
};

// The last status: in a final state, or, if detached, in any. CANCELLED: interrupted twice, or the
// cancelled job did not end in time.
absl::StatusOr<JobStatus> FollowJob(ControllerClient& client, const std::string& job_id,
                                    const InterruptCounter& interrupts, Progress& progress,
                                    const FollowOptions& options);

}  // namespace waferstream
