// For tests: programs of the system (ip, tc), run to their end.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"

namespace waferstream {

// Runs `command`, words without quotes, and returns what it printed on stdout. UNAVAILABLE: it is
// not installed, or failed, with its own words. `before` runs in the child.
absl::StatusOr<std::string> RunTool(const std::string& command,
                                    const std::function<void()>& before = {});

// For a child process: becomes the program; does not return.
[[noreturn]] void BecomeTool(const std::string& command);

// The exit code of BecomeTool if there is no such program.
constexpr int kNoSuchTool = 127;

}  // namespace waferstream
