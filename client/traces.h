// The traces of a cluster's processes as one.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace waferstream {

// Makes the folder for the processes' traces, and sees that `out` can be written: better now than
// after hours. One line that names what cannot be made.
absl::Status BeginTraces(const std::string& folder, const std::string& out);

// Writes `out`, with the events of every file in the folder. A process that was killed leaves a
// trace without its end; what is whole of it counts.
absl::Status JoinTraces(const std::string& folder, const std::string& out);

}  // namespace waferstream
