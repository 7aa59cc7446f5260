#include "checkpoint/folder.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "base/status.h"

namespace waferstream {
namespace {

constexpr char kSealedPrefix[] = "step-";
constexpr char kPartialPrefix[] = ".partial-";
constexpr char kRemovedPrefix[] = ".removed-";
constexpr char kDamagedPrefix[] = "damaged-";

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

bool IsDigits(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

// The epoch number in `name`, which is what WriterEpoch::Name() says of an epoch of this job;
// nullopt: it is of another job, or of none.
std::optional<uint32_t> EpochOf(absl::string_view name, const std::string& job_id) {
  const std::string zero = WriterEpoch{job_id, 0}.Name();
  uint32_t epoch = 0;
  if (!absl::ConsumePrefix(&name, absl::string_view(zero).substr(0, zero.size() - 1)) ||
      !IsDigits(name) || !absl::SimpleAtoi(name, &epoch)) {
    return std::nullopt;
  }
  return epoch;
}

// Whether the leftover called so may go: it is the job's, of no newer epoch, or an ancestor's.
bool MayRemove(absl::string_view name, const WriterEpoch& epoch,
               const std::vector<std::string>& ancestors) {
  if (const auto own = EpochOf(name, epoch.job_id)) return *own <= epoch.epoch;
  return std::any_of(ancestors.begin(), ancestors.end(), [&](const std::string& ancestor) {
    return !ancestor.empty() && EpochOf(name, ancestor).has_value();
  });
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

std::string StepFolder(const std::string& dir, uint64_t steps_done) {
  return absl::StrFormat("%s/%s%06d", dir, kSealedPrefix, steps_done);
}

std::string EpochFolder(const std::string& dir, const WriterEpoch& epoch) {
  return absl::StrCat(dir, "/", kPartialPrefix, epoch.Name());
}

std::optional<uint64_t> StepsOfName(absl::string_view name) {
  uint64_t steps = 0;
  if (!absl::ConsumePrefix(&name, kSealedPrefix) || !IsDigits(name) ||
      !absl::SimpleAtoi(name, &steps)) {
    return std::nullopt;
  }
  return steps;
}

std::string PartialBeside(const std::string& folder, absl::string_view tag) {
  return absl::StrCat(ParentOf(folder), "/", kPartialPrefix, NameOf(folder), "-", tag);
}

absl::StatusOr<std::vector<CheckpointEntry>> ListCheckpoints(Disk& disk, const std::string& dir) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(disk, dir));
  std::vector<CheckpointEntry> entries;
  for (const std::string& name : names) {
    if (!StepsOfName(name).has_value()) continue;
    const std::string path = absl::StrCat(dir, "/", name);
    auto manifest = ReadManifest(disk, path);
    if (manifest.ok()) entries.push_back({path, *std::move(manifest)});
  }
  std::sort(entries.begin(), entries.end(), [](const CheckpointEntry& a, const CheckpointEntry& b) {
    return a.manifest.steps_done < b.manifest.steps_done;
  });
  return entries;
}

absl::Status BeginEpoch(Disk& disk, const std::string& dir, const WriterEpoch& epoch,
                        const std::vector<std::string>& ancestors) {
  RETURN_IF_ERROR(CreateFolders(disk, dir));
  RETURN_IF_ERROR(RemovePartialFolders(disk, dir, epoch, ancestors));
  return disk.CreateFolder(EpochFolder(dir, epoch));
}

absl::Status RemovePartialFolders(Disk& disk, const std::string& dir, const WriterEpoch& epoch,
                                  const std::vector<std::string>& ancestors) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(disk, dir));
  for (const std::string& name : names) {
    const std::string path = absl::StrCat(dir, "/", name);
    absl::string_view writer = name;
    const bool removed = absl::ConsumePrefix(&writer, kRemovedPrefix);
    if (!removed && !absl::ConsumePrefix(&writer, kPartialPrefix)) continue;
    if (!MayRemove(writer, epoch, ancestors)) continue;
    const std::string out = absl::StrCat(dir, "/", kRemovedPrefix, writer);
    RETURN_IF_ERROR(removed ? disk.Remove(path) : IgnoreMissing(RemoveByRename(disk, path, out)));
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

absl::Status PublishNewFolder(Disk& disk, const std::string& partial, const std::string& folder) {
  RETURN_IF_ERROR(disk.SyncFolder(partial));
  const absl::Status renamed = disk.Rename(partial, folder);
  if (!renamed.ok() && disk.Exists(folder)) {
    return absl::AlreadyExistsError(absl::StrCat(folder, " is already there"));
  }
  RETURN_IF_ERROR(renamed);
  return disk.SyncFolder(ParentOf(folder));
}

absl::StatusOr<std::string> MoveAside(Disk& disk, const std::string& folder) {
  const std::string first = absl::StrCat(ParentOf(folder), "/", kDamagedPrefix, NameOf(folder));
  std::string aside = first;
  for (int i = 2; disk.Exists(aside); ++i) aside = absl::StrCat(first, "-", i);
  RETURN_IF_ERROR(disk.Rename(folder, aside));
  RETURN_IF_ERROR(disk.SyncFolder(ParentOf(folder)));
  return aside;
}

absl::Status RetireFolder(Disk& disk, const std::string& folder, const std::string& trash) {
  return RemoveByRename(disk, folder, absl::StrCat(trash, "/", kRemovedPrefix, NameOf(folder)));
}

}  // namespace waferstream
