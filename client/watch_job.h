// The end of every command that waits for a job.
#pragma once

#include <string>

#include "client/command.h"
#include "client/controller_client.h"
#include "client/output.h"

namespace waferstream {

// Prints the result; of a failed job also the reason, on stderr, where errors are looked for. The
// exit code is that of the state.
Outcome PrintJobResult(const JobStatus& job, Format format, const Json& json);

// Shows progress until the job is in a final state, then prints its result. Ctrl-C leaves the job
// alone and gives `detached`.
Outcome WatchJob(ControllerClient& client, const std::string& job_id, Format format,
                 ExitCode detached);

}  // namespace waferstream
