// The folder that one run leaves behind: logs, state, checkpoints.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace waferstream {

// ./runs/NAME-YYYYMMDD-HHMMSS-PID, time in UTC.
std::string DefaultRunFolder(const std::string& job_name, absl::Time now, int pid);

// Creates it, and logs/ in it, and answers with its absolute path. Of two who do so at once one
// gets it. INVALID_ARGUMENT, naming `flag`: it cannot be created or written, or there is something
// in it already. Nothing is left behind by an error.
absl::StatusOr<std::string> CreateRunFolder(const std::string& flag, const std::string& dir);

// The same for a name that nobody chose: if it is taken, NAME-2, NAME-3, ...
absl::StatusOr<std::string> CreateNewRunFolder(const std::string& dir);

// Takes away what CreateRunFolder made, and the logs and state that came into it; not the folders
// on the way to it. One with checkpoints stays.
void RemoveRunFolder(const std::string& dir);

}  // namespace waferstream
