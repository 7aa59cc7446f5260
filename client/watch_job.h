// Watching a job of a cluster that is not ours.
#pragma once

#include <string>

#include "client/command.h"
#include "client/controller_client.h"
#include "client/output.h"

namespace waferstream {

// Shows progress until the job is in a final state, then prints its result. Ctrl-C leaves the job
// alone and gives `detached`.
Outcome WatchJob(ControllerClient& client, const std::string& job_id, Format format,
                 ExitCode detached);

}  // namespace waferstream
