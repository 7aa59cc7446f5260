#include "checkpoint/folder.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "base/status.h"

namespace waferstream {
namespace {

constexpr char kSealedPrefix[] = "step-";
constexpr char kPartialPrefix[] = ".partial-";
constexpr char kRemovedPrefix[] = ".removed-";

std::string ParentOf(const std::string& folder) {
  const std::string parent = std::filesystem::path(folder).parent_path().string();
  return parent.empty() ? "." : parent;
}

std::string NameOf(const std::string& folder) {
  return std::filesystem::path(folder).filename().string();
}

// The names in a folder; none when there is no such folder.
absl::StatusOr<std::vector<std::string>> NamesIn(Disk& disk, const std::string& dir) {
  auto names = disk.List(dir);
  if (absl::IsNotFound(names.status())) return std::vector<std::string>();
  return names;
}

// Whether `name` is the folder of a newer epoch of the same job.
bool IsNewer(absl::string_view name, const WriterEpoch& epoch) {
  const std::string own = EpochFolder("", {epoch.job_id, 0});
  absl::string_view prefix = own;
  prefix.remove_prefix(1);  // "/"
  prefix.remove_suffix(1);  // "0"
  uint32_t other = 0;
  return absl::ConsumePrefix(&name, prefix) && absl::SimpleAtoi(name, &other) &&
         other > epoch.epoch;
}

absl::Status IgnoreMissing(const absl::Status& status) {
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

// A folder on its way out first loses its name, in one step: whoever still wants to give it another
// comes too late, and a crash leaves no half of it under a name that means something.
absl::Status RemoveByRename(Disk& disk, const std::string& folder, const std::string& removed) {
  RETURN_IF_ERROR(disk.Remove(removed));
  RETURN_IF_ERROR(disk.Rename(folder, removed));
  RETURN_IF_ERROR(disk.SyncFolder(ParentOf(folder)));
  return disk.Remove(removed);
}

}  // namespace

std::string WriterEpoch::Name() const {
  // The id comes from outside; it must stay one name.
  return absl::StrCat(absl::StrReplaceAll(job_id, {{"/", "_"}}), "-e", epoch);
}

std::string StepFolder(const std::string& dir, uint64_t steps_done) {
  return absl::StrFormat("%s/%s%06d", dir, kSealedPrefix, steps_done);
}

std::string EpochFolder(const std::string& dir, const WriterEpoch& epoch) {
  return absl::StrCat(dir, "/", kPartialPrefix, epoch.Name());
}

std::string PartialBeside(const std::string& folder) {
  return absl::StrCat(ParentOf(folder), "/", kPartialPrefix, NameOf(folder));
}

absl::StatusOr<std::vector<CheckpointEntry>> ListCheckpoints(Disk& disk, const std::string& dir) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(disk, dir));
  std::vector<CheckpointEntry> entries;
  for (const std::string& name : names) {
    if (!absl::StartsWith(name, kSealedPrefix)) continue;
    const std::string path = absl::StrCat(dir, "/", name);
    auto manifest = ReadManifest(disk, path);
    if (manifest.ok()) entries.push_back({path, *std::move(manifest)});
  }
  std::sort(entries.begin(), entries.end(), [](const CheckpointEntry& a, const CheckpointEntry& b) {
    return a.manifest.steps_done < b.manifest.steps_done;
  });
  return entries;
}

absl::Status BeginEpoch(Disk& disk, const std::string& dir, const WriterEpoch& epoch) {
  RETURN_IF_ERROR(CreateFolders(disk, dir));
  RETURN_IF_ERROR(RemovePartialFolders(disk, dir, epoch));
  return disk.CreateFolder(EpochFolder(dir, epoch));
}

absl::Status RemovePartialFolders(Disk& disk, const std::string& dir, const WriterEpoch& epoch) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(disk, dir));
  for (const std::string& name : names) {
    const std::string path = absl::StrCat(dir, "/", name);
    absl::string_view rest = name;
    if (absl::StartsWith(name, kRemovedPrefix)) {
      RETURN_IF_ERROR(disk.Remove(path));
    } else if (absl::ConsumePrefix(&rest, kPartialPrefix) && !IsNewer(name, epoch)) {
      const std::string removed = absl::StrCat(dir, "/", kRemovedPrefix, rest);
      RETURN_IF_ERROR(IgnoreMissing(RemoveByRename(disk, path, removed)));
    }
  }
  return absl::OkStatus();
}

absl::Status PublishFolder(Disk& disk, const std::string& partial, const std::string& folder) {
  RETURN_IF_ERROR(disk.SyncFolder(partial));
  const bool replace = disk.Exists(folder);
  RETURN_IF_ERROR(replace ? disk.Exchange(partial, folder) : disk.Rename(partial, folder));
  RETURN_IF_ERROR(disk.SyncFolder(ParentOf(folder)));
  return replace ? RetireFolder(disk, partial, ParentOf(partial)) : absl::OkStatus();
}

absl::Status RetireFolder(Disk& disk, const std::string& folder, const std::string& trash) {
  return RemoveByRename(disk, folder, absl::StrCat(trash, "/", kRemovedPrefix, NameOf(folder)));
}

}  // namespace waferstream
