// The end of every command that waits for a job.
#pragma once

#include <string>

#include "client/command.h"
#include "client/controller_client.h"
#include "client/follow_job.h"
#include "client/output.h"

namespace waferstream {

// Prints the result; of a failed or paused job also the reason, on stderr, where errors are looked
// for; `when_paused` says what to type next. The exit code is that of the state.
Outcome PrintJobResult(const JobStatus& job, Format format, const Json& json,
                       const std::string& when_paused);

struct WatchOptions {
  Format format = Format::kTable;
  absl::Duration patience = kPatience;  // with a controller that is away
  ExitCode detached = ExitCode::kOk;    // after Ctrl-C, which leaves the job alone
  bool stop_when_paused = false;
};

// Shows progress until the job is in a final state, then prints its result.
Outcome WatchJob(ControllerClient& client, const std::string& job_id, const WatchOptions& options);

// Submits first; the same request id throughout.
Outcome SubmitAndWatch(ControllerClient& client, const SubmitRequest& request,
                       const WatchOptions& options);

}  // namespace waferstream
