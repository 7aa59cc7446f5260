#include "checkpoint/seal.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/status.h"
#include "base/version.h"
#include "checkpoint/companion_files.h"
#include "checkpoint/config.h"
#include "checkpoint/inspect.h"
#include "checkpoint/origin.h"
#include "checkpoint/ownership.h"

namespace waferstream {
namespace {

// Every file is already synced by its writers; syncing here again covers whichever of them runs on
// this machine and costs nothing when clean.
absl::StatusOr<TensorFileDigest> SealTensorFile(Disk& disk, const std::string& path,
                                                const FileLayout& layout) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, disk.OpenForReading(path));
  ASSIGN_OR_RETURN(const uint64_t bytes, file->Size());
  std::string header(layout.header().size(), '\0');
  if (bytes != layout.bytes()) {
    return absl::DataLossError(
        absl::StrCat(path, " has ", bytes, " bytes instead of ", layout.bytes()));
  }
  RETURN_IF_ERROR(file->ReadAt(0, header.data(), header.size()));
  if (header != layout.header()) {
    return absl::DataLossError(absl::StrCat(path, " has another header than its job lays out"));
  }
  RETURN_IF_ERROR(file->Sync());
  return DigestTensorFile(disk, path);
}

absl::Status Prune(Disk& disk, const JobSpec& job, const WriterEpoch& epoch, uint64_t steps_done,
                   const std::vector<uint64_t>& staying) {
  const std::string& dir = job.checkpoint().dir();
  ASSIGN_OR_RETURN(std::vector<CheckpointEntry> entries, ListCheckpoints(disk, dir));
  std::erase_if(entries, [&](const CheckpointEntry& entry) {
    return entry.manifest.written_by.job_id != epoch.job_id ||
           entry.manifest.steps_done >= steps_done ||
           disk.IsSame(entry.path, job.checkpoint().from());
  });
  const size_t keep = std::max<size_t>(job.checkpoint().keep(), 1) - 1;
  for (size_t i = 0; i + keep < entries.size(); ++i) {
    const uint64_t steps = entries[i].manifest.steps_done;
    if (std::find(staying.begin(), staying.end(), steps) != staying.end()) continue;
    RETURN_IF_ERROR(RetireFolder(disk, entries[i].path, EpochFolder(dir, epoch)));
  }
  return absl::OkStatus();
}

// Whether `partial` is the older checkpoint that an earlier call, which then failed, swapped with
// the one sealed now.
bool IsSwappedOut(Disk& disk, const std::string& partial, const WriterEpoch& epoch) {
  const auto manifest = ReadManifest(disk, partial);
  return manifest.ok() && manifest->written_by != epoch;
}

// Before `folder` gets its checkpoint: what has the name is the job's own, or goes aside, or stays.
absl::Status ClearTheName(Disk& disk, const std::string& folder, const std::string& job_id,
                          std::vector<std::string>& notes) {
  if (!disk.Exists(folder)) return absl::OkStatus();
  const auto manifest = ReadManifest(disk, folder);
  if (!manifest.ok() && !IsDamage(manifest.status())) return manifest.status();
  if (manifest.ok() && manifest->written_by.job_id == job_id) return absl::OkStatus();
  const auto whole = InspectCheckpoint(disk, folder, Depth::kBytes);
  if (whole.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat(folder, " is a checkpoint of job ", WriterOf(*whole)));
  }
  if (!IsDamage(whole.status())) return whole.status();
  ASSIGN_OR_RETURN(const std::string aside, MoveAside(disk, folder));
  notes.push_back(absl::StrCat(folder, " was there already, and damaged: moved to ", aside, " (",
                               whole.status().message(), ")"));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Manifest> CompleteFolder(Disk& disk, const CheckpointFormat& format,
                                        const std::string& partial, Manifest manifest,
                                        std::vector<std::string>& notes) {
  const auto in_partial = [&](const std::string& name) { return absl::StrCat(partial, "/", name); };
  const std::string config = ConfigJson(manifest.job.model(), StoredDtype::kF32);
  RETURN_IF_ERROR(WriteSmallFile(disk, in_partial(kConfigFile), config));
  ASSIGN_OR_RETURN(manifest.files[kConfigFile], DigestFile(disk, in_partial(kConfigFile)));
  ASSIGN_OR_RETURN(
      const TensorFileDigest model,
      SealTensorFile(disk, in_partial(kModelFile), FileLayout::OfModel(format.parameters)));
  manifest.files[kModelFile] = model.file;
  manifest.build = Version();
  manifest.numerics = Numerics();
  manifest.weights_hash = model.data_hash;
  manifest.optimizer_hash = Hash128().Hex();
  if (KeepsAny(format.states)) {
    ASSIGN_OR_RETURN(const TensorFileDigest optimizer,
                     SealTensorFile(disk, in_partial(kOptimizerFile),
                                    FileLayout::OfOptimizer(format.parameters, format.states)));
    manifest.files[kOptimizerFile] = optimizer.file;
    manifest.optimizer_hash = optimizer.data_hash;
  }
  const std::string& tokenizer = manifest.job.data().tokenizer();
  const std::string& from = manifest.job.checkpoint().from();
  ASSIGN_OR_RETURN(const CompanionFiles beside,
                   CopyCompanionFiles(disk, tokenizer.empty() ? from : tokenizer, partial));
  for (const std::string& name : beside.names) {
    ASSIGN_OR_RETURN(manifest.files[name], DigestFile(disk, in_partial(name)));
  }
  notes.insert(notes.end(), beside.unreadable.begin(), beside.unreadable.end());
  RETURN_IF_ERROR(WriteSmallFile(disk, in_partial(kManifestFile), ManifestJson(manifest)));
  return manifest;
}

absl::StatusOr<SealedCheckpoint> SealCheckpoint(Disk& disk, const CheckpointFormat& format,
                                                const WriterEpoch& epoch, Manifest manifest,
                                                const std::vector<uint64_t>& staying) {
  const JobSpec job = manifest.job;
  const std::string& dir = job.checkpoint().dir();
  const uint64_t steps_done = manifest.steps_done;
  const std::string folder = StepFolder(dir, steps_done);
  const std::string partial = StepFolder(EpochFolder(dir, epoch), steps_done);
  manifest.written_by = epoch;
  if (!disk.Exists(partial) || IsSwappedOut(disk, partial, epoch)) {
    auto sealed = ReadManifest(disk, folder);
    // Another job's under this name is no answer.
    if (!sealed.ok() || sealed->written_by.job_id != epoch.job_id) {
      return absl::FailedPreconditionError(absl::StrCat("no checkpoint was written to ", partial));
    }
    RETURN_IF_ERROR(disk.SyncFolder(dir));  // an earlier call may have failed before it did
    return SealedCheckpoint{{folder, *std::move(sealed)}, {}};
  }
  SealedCheckpoint sealed;
  RETURN_IF_ERROR(ClearTheName(disk, folder, epoch.job_id, sealed.notes));
  ASSIGN_OR_RETURN(manifest,
                   CompleteFolder(disk, format, partial, std::move(manifest), sealed.notes));
  RETURN_IF_ERROR(CheckOwner(disk, dir, epoch.job_id));
  RETURN_IF_ERROR(PublishFolder(disk, partial, folder));
  RETURN_IF_ERROR(Prune(disk, job, epoch, steps_done, staying));
  sealed.entry = {folder, std::move(manifest)};
  return sealed;
}

}  // namespace waferstream
