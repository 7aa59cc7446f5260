// Which controller a command talks to.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace waferstream {

// The first of: `flag` (--controller), $WAFERSTREAM_CONTROLLER, the cluster that `waferctl up` left
// running. INVALID_ARGUMENT: not host:port. UNAVAILABLE: none of the three says anything.
absl::StatusOr<std::string> ResolveController(const std::string& flag);

// OK if `address` is host:port with a port of 1 to 65535; `source` names it in the error.
absl::Status CheckAddress(const std::string& source, const std::string& address);

}  // namespace waferstream
