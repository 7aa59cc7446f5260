// The traces of a cluster's processes as one.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace waferstream {

// Whether `out` can be written: better said now than after hours. Writes nothing. One line that
// names it.
absl::Status CheckTraceFile(const std::string& out);

// Writes `out`, with the events of every file in the folder. A process that was killed leaves a
// trace without its end; what is whole of it counts.
absl::Status JoinTraces(const std::string& folder, const std::string& out);

}  // namespace waferstream
