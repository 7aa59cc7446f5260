// Files that somebody named and that are to be plain files: opening one never waits for a peer that
// does not come (a FIFO, a terminal), and a folder, device or socket is refused by name.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/fd.h"

namespace waferstream {

// Opens for reading; links are followed. An error is one line, "<path>: <why>". NOT_FOUND: no such
// file (a link that leads nowhere too). INVALID_ARGUMENT: not a plain file, or not a path at all.
absl::StatusOr<Fd> OpenRegularFile(const std::string& path);

// All of a file that should be small, whatever size it claims to have. RESOURCE_EXHAUSTED: it holds
// more than `bytes_max`; else as OpenRegularFile.
absl::StatusOr<std::string> ReadRegularFile(const std::string& path, size_t bytes_max);
// The same of one that is open, at its beginning.
absl::StatusOr<std::string> ReadAll(const Fd& file, const std::string& path, size_t bytes_max);

// Whether a library may open the file to append to it, which it does without regard to what is
// there: a FIFO that nobody reads would stop it for good. One line, "<path>: <why>".
absl::Status CheckAppendable(const std::string& path);

}  // namespace waferstream
