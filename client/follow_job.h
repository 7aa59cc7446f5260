// Waiting for a job, with progress for the user and Ctrl-C in the user's hand.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/controller_client.h"
#include "client/interrupt.h"
#include "client/progress.h"

namespace waferstream {

enum class OnInterrupt {
  kDetach,     // leave the job alone and return
  kCancelJob,  // cancel it and wait for that; a second interrupt does not wait
};

// How long a controller may stay away: restarted by hand or moved to another machine, it is back.
inline constexpr absl::Duration kPatience = absl::Seconds(60);

struct FollowOptions {
  OnInterrupt on_interrupt = OnInterrupt::kDetach;
  absl::Duration patience = kPatience;
  // Return when the job is PAUSED: it waits for somebody, who is to be told.
  bool stop_when_paused = false;
  // Called about ten times a second; an error ends the waiting with it.
  std::function<absl::Status()> check = [] { return absl::OkStatus(); };
  std::function<void(const JobStatus&)> on_status = [](const JobStatus&) {};
};

// Submits `request`, again and again while the controller does not answer, until `patience` is
// over: one request id is one job. `check` and interrupts end it as they end FollowJob.
absl::StatusOr<JobStatus> SubmitJob(ControllerClient& client, const SubmitRequest& request,
                                    const InterruptCounter& interrupts, Progress& progress,
                                    const FollowOptions& options);

// The last status: in a final state; PAUSED, if asked to stop there; if detached, any. When the
// controller goes away, says so in one line and waits for it. CANCELLED: interrupted twice, or the
// cancelled job did not end in time.
absl::StatusOr<JobStatus> FollowJob(ControllerClient& client, const std::string& job_id,
                                    const InterruptCounter& interrupts, Progress& progress,
                                    const FollowOptions& options);

}  // namespace waferstream
