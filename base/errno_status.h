// A status for what the system refused.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace waferstream {

// "what: what the system says", with the code that fits `error`. Never OK: where an error is known
// only by its effect (a stream that failed, a write that fell short), errno may be 0, of which
// absl::ErrnoToStatus makes a success.
absl::Status ErrnoStatus(int error, absl::string_view what);

}  // namespace waferstream
