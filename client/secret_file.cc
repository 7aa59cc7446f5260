#include "client/secret_file.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/status.h"

namespace waferstream {

std::string SecretFileIn(const std::string& dir) { return absl::StrCat(dir, "/state/secret"); }

absl::StatusOr<Credentials> MakeSecretIn(const std::string& dir) {
  const std::string path = SecretFileIn(dir);
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, path);
  RETURN_IF_ERROR(ClusterSecret::MakeFile(path));
  return ReadSecretFile(path);
}

absl::StatusOr<Credentials> ReadSecretIn(const std::string& dir) {
  return ReadSecretFile(SecretFileIn(dir));
}

absl::StatusOr<Credentials> ReadSecretFile(const std::string& path) {
  ASSIGN_OR_RETURN(auto secret, ClusterSecret::ReadFile(path));
  return Credentials{.secret = std::move(secret)};
}

}  // namespace waferstream
