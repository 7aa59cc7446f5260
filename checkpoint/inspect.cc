#include "checkpoint/inspect.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "checkpoint/folder.h"
#include "checkpoint/layout.h"

namespace waferstream {
namespace {

absl::Status CheckSize(Disk& disk, const std::string& path, uint64_t expected) {
  const auto file = disk.OpenForReading(path);
  if (absl::IsNotFound(file.status())) {
    return absl::DataLossError(absl::StrCat(path, " is missing"));
  }
  RETURN_IF_ERROR(file.status());
  ASSIGN_OR_RETURN(const uint64_t bytes, (*file)->Size());
  if (bytes == expected) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(path, " has ", bytes, " bytes, the checkpoint says ", expected));
}

}  // namespace

absl::StatusOr<Manifest> InspectCheckpoint(Disk& disk, const std::string& folder, Depth depth) {
  auto manifest = ReadManifest(disk, folder);
  if (absl::IsNotFound(manifest.status())) {
    return absl::NotFoundError(absl::StrCat(folder, " has no ", kManifestFile));
  }
  RETURN_IF_ERROR(manifest.status());
  for (const auto& [name, digest] : manifest->files) {
    RETURN_IF_ERROR(CheckSize(disk, absl::StrCat(folder, "/", name), digest.bytes));
  }
  if (depth == Depth::kBytes) RETURN_IF_ERROR(VerifyFiles(disk, folder, *manifest));
  return manifest;
}

bool IsDamage(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsNotFound(status);
}

absl::Status VerifyFiles(Disk& disk, const std::string& folder, const Manifest& manifest) {
  for (const auto& [name, expected] : manifest.files) {
    ASSIGN_OR_RETURN(const FileDigest digest, DigestFile(disk, absl::StrCat(folder, "/", name)));
    if (digest.hash == expected.hash) continue;
    return absl::DataLossError(absl::StrCat("checkpoint ", folder, ": ", name, " is corrupt: hash ",
                                            digest.hash, ", expected ", expected.hash));
  }
  return absl::OkStatus();
}

std::string FoundCheckpoint::name() const {
  return std::filesystem::path(path).filename().string();
}

absl::StatusOr<std::vector<FoundCheckpoint>> FindCheckpoints(Disk& disk, const std::string& dir,
                                                             Depth depth) {
  std::vector<FoundCheckpoint> found;
  const auto names = disk.List(dir);
  if (absl::IsNotFound(names.status())) return found;
  RETURN_IF_ERROR(names.status());
  for (const std::string& name : *names) {
    const std::optional<uint64_t> steps = StepsOfName(name);
    if (!steps.has_value()) continue;
    const std::string path = absl::StrCat(dir, "/", name);
    found.push_back({path, *steps, InspectCheckpoint(disk, path, depth)});
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.steps < b.steps; });
  return found;
}

}  // namespace waferstream
