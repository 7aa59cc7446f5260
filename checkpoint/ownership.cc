#include "checkpoint/ownership.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/json.h"
#include "base/status.h"
#include "checkpoint/folder.h"
#include "checkpoint/inspect.h"
#include "checkpoint/origin.h"

namespace waferstream {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kOwnerBytesMax = 64 << 10;
constexpr char kOtherFolder[] = "give another folder";

std::string OwnerFile(const std::string& dir) { return absl::StrCat(dir, "/.owner"); }

struct Owner {
  std::string job_id;  // empty: nobody, or it cannot be read
  std::string name;

  std::string text() const { return absl::StrCat(name, " (", job_id, ")"); }
};

// Nobody when there is no such file, or it is no such file's content: a crash has left half of it.
absl::StatusOr<Owner> ReadOwner(Disk& disk, const std::string& dir) {
  const auto text = ReadSmallFile(disk, OwnerFile(dir), kOwnerBytesMax);
  if (absl::IsNotFound(text.status())) return Owner();
  RETURN_IF_ERROR(text.status());
  const absl::StatusOr<Json> json = ParseJson(*text);
  const bool is_object = json.ok() && json->is_object();
  const Json job = is_object ? json->value("job", Json()) : Json();
  const Json name = is_object ? json->value("name", Json()) : Json();
  if (!job.is_string() || !name.is_string()) return Owner();
  return Owner{job, name};
}

absl::Status WriteOwner(Disk& disk, const std::string& dir, const FolderUser& user) {
  const Json json = {{"job", user.job_id}, {"name", user.name}};
  RETURN_IF_ERROR(WriteSmallFile(disk, OwnerFile(dir), json.dump(2) + "\n"));
  return disk.SyncFolder(dir);
}

absl::Status Refuse(const std::string& dir, const std::string& why) {
  return absl::FailedPreconditionError(absl::StrCat(dir, " ", why));
}

absl::Status InUse(const std::string& dir, const Owner& owner) {
  const std::string by = owner.job_id.empty() ? "another job" : absl::StrCat("job ", owner.text());
  return Refuse(dir, absl::StrCat("is in use by ", by, ": wait for its end, or ", kOtherFolder));
}

bool IsAncestor(const FolderUser& user, const std::string& job_id) {
  return std::find(user.ancestors.begin(), user.ancestors.end(), job_id) != user.ancestors.end();
}

// Without locks nobody can tell whether the job that is named there is over.
absl::Status CheckNamedOwner(const std::string& dir, const FolderUser& user, const Owner& owner) {
  if (owner.job_id.empty() || IsAncestor(user, owner.job_id)) return absl::OkStatus();
  return Refuse(dir, absl::StrCat("is that of job ", owner.text(), ": ", kOtherFolder,
                                  "; if that job is over, remove ", OwnerFile(dir)));
}

// What one checkpoint in the folder is to the job.
enum class Kin { kOwn, kAncestors, kForeign, kDamaged };

Kin KinOf(Disk& disk, const FoundCheckpoint& found, const FolderUser& user) {
  if (!found.manifest.ok()) return Kin::kDamaged;
  const std::string& writer = found.manifest->written_by.job_id;
  if (!writer.empty() && writer == user.job_id) return Kin::kOwn;
  if (IsAncestor(user, writer) || disk.IsSame(found.path, user.from)) return Kin::kAncestors;
  return Kin::kForeign;
}

absl::Status RefuseForeign(const std::string& dir, const FoundCheckpoint& found) {
  const std::string whose = found.manifest.ok()
                                ? absl::StrCat("of job ", WriterOf(*found.manifest))
                                : absl::StrCat("of an unknown job, and damaged (",
                                               found.manifest.status().message(), ")");
  return Refuse(dir, absl::StrCat("holds ", found.name(), " ", whose, ": ", kOtherFolder,
                                  ", or go on from it (--resume, checkpoint.from)"));
}

absl::Status RefuseLater(const std::string& dir, const FoundCheckpoint& later,
                         const FolderUser& user) {
  return Refuse(dir, absl::StrCat("holds ", later.name(), " of job ", WriterOf(*later.manifest),
                                  ", later than step ", user.start_step,
                                  ", from which this one goes on: go on from ", later.name(),
                                  ", move it away, or ", kOtherFolder));
}

// Rules 2 and 3.
absl::Status CheckContents(Disk& disk, const std::string& dir, const FolderUser& user,
                           const Owner& owner) {
  ASSIGN_OR_RETURN(const auto found, FindCheckpoints(disk, dir, Depth::kSizes));
  const FoundCheckpoint* damaged = nullptr;
  bool family =
      !owner.job_id.empty() && (owner.job_id == user.job_id || IsAncestor(user, owner.job_id));
  for (const FoundCheckpoint& checkpoint : found) {
    if (!checkpoint.manifest.ok() && !IsDamage(checkpoint.manifest.status())) {
      return checkpoint.manifest.status();
    }
    const Kin kin = KinOf(disk, checkpoint, user);
    if (kin == Kin::kForeign) return RefuseForeign(dir, checkpoint);
    family = family || kin == Kin::kOwn || kin == Kin::kAncestors;
    if (kin == Kin::kDamaged) damaged = &checkpoint;
    const bool later = kin == Kin::kAncestors && checkpoint.manifest->steps_done > user.start_step;
    if (!later) continue;
    absl::Status whole = VerifyFiles(disk, checkpoint.path, *checkpoint.manifest);
    if (whole.ok()) return RefuseLater(dir, checkpoint, user);
    // One that is damaged is no loss: it is moved aside when the job gets there.
    if (!IsDamage(whole)) return whole;
  }
  return damaged == nullptr || family ? absl::OkStatus() : RefuseForeign(dir, *damaged);
}

}  // namespace

absl::Status CheckFolder(Disk& disk, const std::string& dir, const FolderUser& user) {
  ASSIGN_OR_RETURN(const Owner owner, ReadOwner(disk, dir));
  if (!owner.job_id.empty() && owner.job_id == user.job_id) return absl::OkStatus();
  if (disk.IsLocked(OwnerFile(dir))) return InUse(dir, owner);
  return CheckContents(disk, dir, user, owner);
}

absl::StatusOr<std::unique_ptr<FolderClaim>> ClaimFolder(Disk& disk, const std::string& dir,
                                                         const FolderUser& user) {
  if (user.job_id.empty()) return absl::InvalidArgumentError("job_id is empty");
  RETURN_IF_ERROR(CheckFolder(disk, dir, user));  // a folder that is refused is not written to
  RETURN_IF_ERROR(CreateFolders(disk, dir));
  auto lock = disk.Lock(OwnerFile(dir));
  ASSIGN_OR_RETURN(const Owner owner, ReadOwner(disk, dir));
  const bool has_it = owner.job_id == user.job_id;
  const bool held = absl::IsUnavailable(lock.status());
  if (held && !has_it) return InUse(dir, owner);
  if (!lock.ok() && !held && !absl::IsUnimplemented(lock.status())) return lock.status();
  if (!has_it) {
    if (!lock.ok()) RETURN_IF_ERROR(CheckNamedOwner(dir, user, owner));
    RETURN_IF_ERROR(CheckContents(disk, dir, user, owner));
    RETURN_IF_ERROR(WriteOwner(disk, dir, user));
  }
  return std::make_unique<FolderClaim>(disk, dir, user.job_id, !held,
                                       lock.ok() ? *std::move(lock) : nullptr);
}

void FolderClaim::Release() {
  if (!first_) return;
  const auto found = FindCheckpoints(disk_, dir_, Depth::kSizes);
  const bool sealed = !found.ok() || std::any_of(found->begin(), found->end(), [&](const auto& c) {
    return c.manifest.ok() && c.manifest->written_by.job_id == job_id_;
  });
  // Best effort: what stays names a job that is over, and holds no lock.
  const auto owner = ReadOwner(disk_, dir_);
  if (!sealed && owner.ok() && owner->job_id == job_id_) {
    disk_.Remove(OwnerFile(dir_)).IgnoreError();
  }
  lock_.reset();
}

absl::StatusOr<std::string> OwnerOf(Disk& disk, const std::string& dir) {
  ASSIGN_OR_RETURN(const Owner owner, ReadOwner(disk, dir));
  return owner.job_id;
}

absl::Status CheckOwner(Disk& disk, const std::string& dir, const std::string& job_id) {
  ASSIGN_OR_RETURN(const Owner owner, ReadOwner(disk, dir));
  if (owner.job_id == job_id) return absl::OkStatus();
  if (owner.job_id.empty()) return Refuse(dir, absl::StrCat("is no longer that of job ", job_id));
  return Refuse(dir, absl::StrCat("is now that of job ", owner.text()));
}

}  // namespace waferstream
