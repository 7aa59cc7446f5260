#include "client/run_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;

// More than are started in one second under one process number.
constexpr int kNamesMax = 1000;

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
  if (dir.empty()) return absl::InvalidArgumentError(absl::StrCat(flag, ": is empty"));
  const fs::path path = fs::absolute(dir).lexically_normal();
  std::error_code error;
  if (fs::exists(path, error)) {
    if (!fs::is_directory(path, error)) return Refusal(flag, path, "is not a folder");
    if (!fs::is_empty(path, error) || error) {
      return Refusal(flag, path, error ? error.message() : "is not empty");
    }
  }
  const std::vector<fs::path> missing = MissingFolders(path);
  fs::create_directories(path, error);
  // Whoever makes this one has the folder.
  if (!error && mkdir((path / "logs").c_str(), 0777) == 0) return path.string();
  if (!error && errno == EEXIST) return Refusal(flag, path, "is that of another run");
  const std::string why = error ? error.message() : std::generic_category().message(errno);
  for (auto it = missing.rbegin(); it != missing.rend(); ++it) rmdir(it->c_str());
  return Refusal(flag, path, why);
}

absl::StatusOr<std::string> CreateNewRunFolder(const std::string& dir) {
  absl::StatusOr<std::string> made = CreateRunFolder("run folder", dir);
  for (int i = 2; !made.ok() && i <= kNamesMax; ++i) {
    std::error_code ignored;
    if (!fs::exists(dir, ignored)) return made;  // it is not the name
    made = CreateRunFolder("run folder", absl::StrCat(dir, "-", i));
  }
  return made;
}

void RemoveRunFolder(const std::string& dir) {
  std::error_code ignored;
  if (!fs::exists(fs::path(dir) / "checkpoints", ignored)) fs::remove_all(dir, ignored);
}

}  // namespace waferstream
