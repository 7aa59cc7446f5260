#include "controller/admission.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "checkpoint/go_on.h"
#include "checkpoint/manifest.h"

namespace waferstream {
namespace {

// The manifest of a checkpoint; another system's has none, and is after 0 steps.
absl::StatusOr<Manifest> ManifestOf(Disk& disk, const std::string& checkpoint) {
  if (!disk.List(checkpoint).ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("checkpoint.from: ", checkpoint, " is not a folder that the controller sees"));
  }
  absl::StatusOr<Manifest> manifest = ReadManifest(disk, checkpoint);
  if (manifest.ok()) return manifest;
  if (absl::IsNotFound(manifest.status())) return Manifest();
  return absl::InvalidArgumentError(absl::StrCat("checkpoint.from: ", manifest.status().message()));
}

}  // namespace

absl::StatusOr<AdmittedJob> Admit(Disk& disk, const JobSpec& job) {
  AdmittedJob admitted;
  ASSIGN_OR_RETURN(admitted.plan, Compile(job, RequestedShape(job)));
  if (job.checkpoint().from().empty()) return admitted;
  ASSIGN_OR_RETURN(const Manifest manifest, ManifestOf(disk, job.checkpoint().from()));
  if (job.has_generate()) return admitted;  // its steps are tokens
  const uint64_t steps_done = manifest.steps_done;
  if (steps_done >= job.training().steps()) {
    return absl::InvalidArgumentError(absl::StrCat("training.steps: ", job.training().steps(),
                                                   ", but the checkpoint ", job.checkpoint().from(),
                                                   " already has ", steps_done));
  }
  ASSIGN_OR_RETURN(GoingOn going_on, GoOnFrom(job, manifest));
  ASSIGN_OR_RETURN(admitted.plan, Compile(going_on.job, RequestedShape(job)));
  admitted.start_step = steps_done;
  admitted.kernel_isa = std::move(going_on.kernel_isa);
  admitted.notes = std::move(going_on.notes);
  return admitted;
}

}  // namespace waferstream
