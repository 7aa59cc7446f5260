// What the wafer nodes that this waferctl starts compute with. The nodes' program is asked, as
// waferctl has no kernels of its own.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace CLI {
class App;
}

namespace waferstream {

// --kernel-isa: empty, or what the wafer nodes are held to.
void AddKernelIsaFlag(CLI::App& app, std::string& kernel_isa);

// The name of what runs (JobStatus.kernel_isa), if held to `kernel_isa`. INVALID_ARGUMENT: one line
// that says what this CPU has. Blocks while the program runs: milliseconds.
absl::StatusOr<std::string> AskKernelIsa(const std::string& kernel_isa);

}  // namespace waferstream
