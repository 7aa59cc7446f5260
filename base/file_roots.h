// Folders that the files of jobs must be in, on a cluster that several people share.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace CLI {
class App;
}

namespace waferstream {

// --roots DIR:DIR...; empty: files of jobs may be anywhere.
void AddRootsFlag(CLI::App& app, std::string& roots);

// As they are on this host, links resolved. INVALID_ARGUMENT, naming --roots: one of them is no
// folder, or no absolute path.
absl::StatusOr<std::vector<std::string>> ParseRoots(const std::string& roots);

// Whether `path`, with its links resolved as far as it is there, is below one of `roots` (none:
// anything is). INVALID_ARGUMENT, naming `field`. What is done to the path later is not this
// function's (base/confine.h).
absl::Status CheckBelow(const std::string& field, const std::string& path,
                        const std::vector<std::string>& roots);

}  // namespace waferstream
