#include "checkpoint/origin.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "checkpoint/layout.h"
#include "plan/optimizer_state.h"

namespace waferstream {

absl::StatusOr<std::optional<Manifest>> ReadOrigin(Disk& disk, const std::string& folder) {
  auto manifest = ReadManifest(disk, folder);
  if (manifest.ok()) return std::optional<Manifest>(*std::move(manifest));
  if (!absl::IsNotFound(manifest.status())) return manifest.status();
  if (!disk.Exists(absl::StrCat(folder, "/", kOptimizerFile))) return std::nullopt;
  return absl::DataLossError(
      absl::StrCat(folder, " is damaged: it has ", kOptimizerFile, ", but no ", kManifestFile));
}

uint64_t StartStep(const JobSpec& job, const std::optional<Manifest>& origin) {
  return origin.has_value() && !job.checkpoint().weights_only() ? origin->steps_done : 0;
}

std::vector<std::string> AncestorsBy(const std::optional<Manifest>& origin) {
  if (!origin.has_value()) return {};
  std::vector<std::string> ancestors = {origin->written_by.job_id};
  ancestors.insert(ancestors.end(), origin->ancestors.begin(), origin->ancestors.end());
  return ancestors;
}

std::string DescribeOrigin(const JobSpec& job, const std::optional<Manifest>& origin) {
  const std::string& from = job.checkpoint().from();
  if (!origin.has_value()) {
    return absl::StrCat("starts at step 0 from the weights in ", from, " (no ", kManifestFile,
                        ": another system's, or an export); the optimizer starts empty");
  }
  if (StartStep(job, origin) == 0) {
    return absl::StrCat("starts at step 0 from the weights in ", from, ", after ",
                        origin->steps_done, " steps of job ", WriterOf(*origin),
                        "; the optimizer starts empty");
  }
  const bool keeps = !StatesOf(job.training().optimizer(), Parameter()).empty();
  return absl::StrCat("goes on from ", from, ": step ", origin->steps_done, " of job ",
                      WriterOf(*origin), ", ",
                      keeps ? "optimizer state included" : "whose optimizer keeps no state");
}

std::string WriterOf(const Manifest& manifest) {
  const std::string& id = manifest.written_by.job_id;
  return absl::StrCat(manifest.job.name(), id.empty() ? "" : absl::StrCat(" (", id, ")"));
}

}  // namespace waferstream
