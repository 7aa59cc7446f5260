// Files that hold what only their owner may know: a secret, a token, a key.
#pragma once

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace waferstream {

inline constexpr mode_t kPrivate = 0600;

// Makes the file, with this mode whatever the umask. ALREADY_EXISTS: there is something of that
// name, which stays. Else the system's reason; nothing is left of it then. All name it.
absl::Status MakeNewFile(const std::string& path, const std::string& text, mode_t mode);

// The same in place of what is there, if anything is: whoever reads meanwhile finds the one or the
// other. It is PATH.new before; of two that replace a file at once the second one finds that, and
// is told so, so that neither's change is lost.
absl::Status ReplaceFile(const std::string& path, const std::string& text, mode_t mode);

// All of it. PERMISSION_DENIED: it belongs to another user, or somebody else can read or change it
// (like ssh with its keys; root is nobody to hide from, and a file of root's may be read by the
// group that it is for); else as ReadRegularFile.
absl::StatusOr<std::string> ReadPrivateFile(const std::string& path, size_t bytes_max);

// Of a file that anybody may read, but that decides about something: PERMISSION_DENIED: somebody
// else than root and the caller's user can change it.
absl::StatusOr<std::string> ReadTrustedFile(const std::string& path, size_t bytes_max);

}  // namespace waferstream
