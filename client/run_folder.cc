#include "client/run_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "base/user_input.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;

absl::Status Refusal(const std::string& flag, const fs::path& dir, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat(flag, ": ", dir.string(), ": ", why));
}

// The folders on the way to `dir` that do not exist yet, outermost first.
std::vector<fs::path> MissingFolders(const fs::path& dir) {
  std::vector<fs::path> missing;
  std::error_code ignored;
  for (fs::path p = dir; p.has_relative_path() && !fs::exists(p, ignored); p = p.parent_path()) {
    missing.insert(missing.begin(), p);
  }
  return missing;
}

}  // namespace

std::string DefaultRunFolder(const std::string& job_name, absl::Time now, int pid) {
  return absl::StrCat("runs/", job_name, "-",
                      absl::FormatTime("%Y%m%d-%H%M%S", now, absl::UTCTimeZone()), "-", pid);
}

absl::StatusOr<std::string> CreateRunFolder(const std::string& flag, const std::string& dir) {
  ASSIGN_OR_RETURN(const fs::path path, AbsolutePath(flag, dir));
  // It becomes part of messages, which take no other bytes.
  RETURN_IF_ERROR(CheckText(flag, path.string()));
  std::error_code error;
  if (fs::exists(path, error)) {
    if (!fs::is_directory(path, error)) return Refusal(flag, path, "is not a folder");
    if (!fs::is_empty(path, error) || error) {
      return Refusal(flag, path, error ? error.message() : "is not empty");
    }
  }
  const std::vector<fs::path> missing = MissingFolders(path);
  fs::create_directories(path, error);
  if (!error && access(path.c_str(), W_OK | X_OK) == 0) return path.string();
  const std::string why = error ? error.message() : "cannot be written";
  for (auto it = missing.rbegin(); it != missing.rend(); ++it) rmdir(it->c_str());
  return Refusal(flag, path, why);
}

}  // namespace waferstream
