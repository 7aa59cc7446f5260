#include "checkpoint/folder.h"

#include <fcntl.h>
#include <stdio.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "checkpoint/file.h"

namespace waferstream {
namespace fs = std::filesystem;
namespace {

constexpr char kSealedPrefix[] = "step-";
constexpr char kPartialPrefix[] = ".partial-";

std::string ParentOf(const std::string& folder) {
  const std::string parent = fs::path(folder).parent_path().string();
  return parent.empty() ? "." : parent;
}

// The names in a folder that start with `prefix`; none when there is no such folder.
absl::StatusOr<std::vector<std::string>> NamesWithPrefix(const std::string& dir,
                                                         absl::string_view prefix) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(dir, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (absl::StartsWith(name, prefix)) names.push_back(name);
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return absl::ErrnoToStatus(error.value(), absl::StrCat("cannot list ", dir));
  }
  return names;
}

}  // namespace

std::string SealedFolder(const std::string& dir, uint64_t steps_done) {
  return absl::StrFormat("%s/%s%06d", dir, kSealedPrefix, steps_done);
}

std::string PartialFolder(const std::string& folder) {
  return absl::StrCat(ParentOf(folder), "/", kPartialPrefix, fs::path(folder).filename().string());
}

absl::StatusOr<std::vector<CheckpointEntry>> ListCheckpoints(const std::string& dir) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesWithPrefix(dir, kSealedPrefix));
  std::vector<CheckpointEntry> entries;
  for (const std::string& name : names) {
    const std::string path = absl::StrCat(dir, "/", name);
    auto manifest = ReadManifest(path);
    if (manifest.ok()) entries.push_back({path, *std::move(manifest)});
  }
  std::sort(entries.begin(), entries.end(), [](const CheckpointEntry& a, const CheckpointEntry& b) {
    return a.manifest.steps_done < b.manifest.steps_done;
  });
  return entries;
}

absl::Status RemovePartialFolders(const std::string& dir) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesWithPrefix(dir, kPartialPrefix));
  for (const std::string& name : names) {
    RETURN_IF_ERROR(RemoveFolder(absl::StrCat(dir, "/", name)));
  }
  return absl::OkStatus();
}

absl::Status RemoveFolder(const std::string& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
  if (!error) return absl::OkStatus();
  return absl::ErrnoToStatus(error.value(), absl::StrCat("cannot remove ", folder));
}

absl::Status PublishFolder(const std::string& partial, const std::string& folder) {
  RETURN_IF_ERROR(SyncFolder(partial));
  const bool replace = fs::exists(folder);
  if (renameat2(AT_FDCWD, partial.c_str(), AT_FDCWD, folder.c_str(),
                replace ? RENAME_EXCHANGE : 0) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot rename ", partial, " to ", folder));
  }
  RETURN_IF_ERROR(SyncFolder(ParentOf(folder)));
  return replace ? RemoveFolder(partial) : absl::OkStatus();
}

}  // namespace waferstream
