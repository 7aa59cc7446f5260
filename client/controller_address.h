// Which controller a command talks to.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace waferstream {

// The first of: `flag` (--controller), $WAFERSTREAM_CONTROLLER, the cluster that `waferctl up` left
// running. INVALID_ARGUMENT: not host:port. UNAVAILABLE: none of the three says anything.
absl::StatusOr<std::string> ResolveController(const std::string& flag);

}  // namespace waferstream
