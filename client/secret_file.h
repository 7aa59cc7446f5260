// Where the secret of a cluster on this machine lies.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "base/credentials.h"

namespace waferstream {

// Of the cluster in `dir` (a run folder, or that of `waferctl up`).
std::string SecretFileIn(const std::string& dir);

// A new secret for the cluster that begins in `dir`, in place of an earlier one's; DIR/state
// exists.
absl::StatusOr<Credentials> MakeSecretIn(const std::string& dir);

// That of a cluster that runs there. Errors name the file.
absl::StatusOr<Credentials> ReadSecretIn(const std::string& dir);
absl::StatusOr<Credentials> ReadSecretFile(const std::string& path);

}  // namespace waferstream
