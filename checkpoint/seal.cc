#include "checkpoint/seal.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/status.h"
#include "checkpoint/config.h"

namespace waferstream {
namespace fs = std::filesystem;
namespace {

// Every file is already synced by its writers; syncing here again covers whichever of them runs on
// this machine and costs nothing when clean.
absl::StatusOr<TensorFileDigest> SealTensorFile(const std::string& path, const FileLayout& layout) {
  ASSIGN_OR_RETURN(File file, File::OpenForReading(path));
  ASSIGN_OR_RETURN(const uint64_t bytes, file.Size());
  std::string header(layout.header().size(), '\0');
  if (bytes != layout.bytes()) {
    return absl::DataLossError(
        absl::StrCat(path, " has ", bytes, " bytes instead of ", layout.bytes()));
  }
  RETURN_IF_ERROR(file.ReadAt(0, header.data(), header.size()));
  if (header != layout.header()) {
    return absl::DataLossError(absl::StrCat(path, " has another header than its job lays out"));
  }
  RETURN_IF_ERROR(file.Sync());
  return DigestTensorFile(path);
}

absl::Status Prune(const JobSpec& job, uint64_t steps_done) {
  ASSIGN_OR_RETURN(std::vector<CheckpointEntry> entries, ListCheckpoints(job.checkpoint().dir()));
  std::erase_if(entries, [&](const CheckpointEntry& entry) {
    std::error_code ignored;  // the start may be gone; then nothing is equivalent to it
    return entry.manifest.steps_done >= steps_done ||
           fs::equivalent(entry.path, job.checkpoint().from(), ignored);
  });
  const size_t keep = std::max<size_t>(job.checkpoint().keep(), 1) - 1;
  for (size_t i = 0; i + keep < entries.size(); ++i) {
    RETURN_IF_ERROR(RemoveFolder(entries[i].path));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Manifest> SealFolder(const CheckpointFormat& format, const std::string& partial,
                                    const std::string& folder, Manifest manifest) {
  const auto in_partial = [&](const char* name) { return absl::StrCat(partial, "/", name); };
  const std::string config = ConfigJson(manifest.job.model(), format.dtype);
  RETURN_IF_ERROR(WriteSmallFile(in_partial(kConfigFile), config));
  ASSIGN_OR_RETURN(manifest.files[kConfigFile], DigestFile(in_partial(kConfigFile)));
  ASSIGN_OR_RETURN(
      const TensorFileDigest model,
      SealTensorFile(in_partial(kModelFile), FileLayout::OfModel(format.parameters, format.dtype)));
  manifest.files[kModelFile] = model.file;
  manifest.weights_hash = model.data_hash;
  manifest.optimizer_hash = Hash128().Hex();
  if (!format.states.empty()) {
    ASSIGN_OR_RETURN(const TensorFileDigest optimizer,
                     SealTensorFile(in_partial(kOptimizerFile),
                                    FileLayout::OfOptimizer(format.parameters, format.states)));
    manifest.files[kOptimizerFile] = optimizer.file;
    manifest.optimizer_hash = optimizer.data_hash;
  }
  RETURN_IF_ERROR(WriteSmallFile(in_partial(kManifestFile), ManifestJson(manifest)));
  RETURN_IF_ERROR(PublishFolder(partial, folder));
  return manifest;
}

absl::StatusOr<CheckpointEntry> SealCheckpoint(const CheckpointFormat& format, Manifest manifest) {
  const JobSpec job = manifest.job;
  const uint64_t steps_done = manifest.steps_done;
  const std::string folder = SealedFolder(job.checkpoint().dir(), steps_done);
  const std::string partial = PartialFolder(folder);
  if (!fs::exists(partial)) {
    auto sealed = ReadManifest(folder);
    if (sealed.ok()) return CheckpointEntry{folder, *std::move(sealed)};
    return absl::FailedPreconditionError(absl::StrCat("no checkpoint was written to ", partial));
  }
  ASSIGN_OR_RETURN(manifest, SealFolder(format, partial, folder, std::move(manifest)));
  RETURN_IF_ERROR(Prune(job, steps_done));
  return CheckpointEntry{folder, std::move(manifest)};
}

}  // namespace waferstream
