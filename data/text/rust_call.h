// Arguments for the calls of text.h, and a status of what they say.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "data/text/text.h"

namespace waferstream {

WsBytes BytesOf(absl::string_view text);
// Appends what it is given. `to` must outlive the call.
WsSink SinkInto(std::string& to);
WsSink SinkInto(std::vector<uint32_t>& to);
// Called with each thing given.
WsSink SinkInto(std::function<void(absl::string_view)>& to);

// INVALID_ARGUMENT with the message of a call that failed, in one line.
absl::Status RustStatus(bool ok, const std::string& error);

}  // namespace waferstream
