#include "controller/admission.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "checkpoint/manifest.h"

namespace waferstream {
namespace {

absl::StatusOr<uint64_t> StepsOf(Disk& disk, const std::string& checkpoint) {
  if (!disk.List(checkpoint).ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("checkpoint.from: ", checkpoint, " is not a folder that the controller sees"));
  }
  const absl::StatusOr<Manifest> manifest = ReadManifest(disk, checkpoint);
  if (manifest.ok()) return manifest->steps_done;
  if (absl::IsNotFound(manifest.status())) return 0;
  return absl::InvalidArgumentError(absl::StrCat("checkpoint.from: ", manifest.status().message()));
}

}  // namespace

absl::StatusOr<AdmittedJob> Admit(Disk& disk, const JobSpec& job) {
  AdmittedJob admitted;
  ASSIGN_OR_RETURN(admitted.plan, Compile(job, RequestedShape(job)));
  admitted.submitted = job;
  if (job.checkpoint().from().empty()) return admitted;
  ASSIGN_OR_RETURN(const uint64_t steps_done, StepsOf(disk, job.checkpoint().from()));
  if (job.has_generate()) return admitted;  // its steps are tokens
  if (steps_done >= job.training().steps()) {
    return absl::InvalidArgumentError(absl::StrCat("training.steps: ", job.training().steps(),
                                                   ", but the checkpoint ", job.checkpoint().from(),
                                                   " already has ", steps_done));
  }
  admitted.start_step = steps_done;
  return admitted;
}

}  // namespace waferstream
