#include "controller/admission.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file_roots.h"
#include "base/status.h"
#include "checkpoint/go_on.h"
#include "checkpoint/manifest.h"
#include "checkpoint/origin.h"
#include "plan/job_kind.h"

namespace waferstream {
namespace {

absl::StatusOr<std::optional<Manifest>> OriginOf(Disk& disk, const std::string& checkpoint) {
  if (!disk.List(checkpoint).ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("checkpoint.from: ", checkpoint, " is not a folder that the controller sees"));
  }
  auto origin = ReadOrigin(disk, checkpoint);
  if (origin.ok()) return origin;
  return absl::InvalidArgumentError(absl::StrCat("checkpoint.from: ", origin.status().message()));
}

FolderUser UserOf(const JobRecord& record) {
  const JobStatus& status = record.status;
  return {.job_id = status.job_id(),
          .name = status.name(),
          .ancestors = {status.ancestors().begin(), status.ancestors().end()},
          .from = status.job().checkpoint().from(),
          .start_step = record.memory.first_step()};
}

}  // namespace

std::string FolderOf(const JobSpec& job, const std::string& state_dir, const std::string& job_id) {
  if (!Trains(job) || !job.checkpoint().dir().empty()) return job.checkpoint().dir();
  return absl::StrCat(state_dir, "/jobs/", job_id, "/checkpoints");
}

absl::Status CheckPaths(const JobSpec& job, const std::string& folder,
                        const std::vector<std::string>& roots) {
  const bool named = !job.checkpoint().dir().empty();
  for (const std::string& path : job.data().train()) {
    RETURN_IF_ERROR(CheckBelow("data.train", path, roots));
  }
  for (const auto& [field, path] :
       {std::pair<const char*, std::string>{"data.validation", job.data().validation()},
        {"data.tokenizer", job.data().tokenizer()},
        {named ? "checkpoint.dir" : "checkpoint.dir is not given, and what it is then", folder},
        {"checkpoint.from", job.checkpoint().from()}}) {
    RETURN_IF_ERROR(CheckBelow(field, path, roots));
  }
  return absl::OkStatus();
}

absl::StatusOr<AdmittedJob> Admit(Disk& disk, const JobSpec& job) {
  AdmittedJob admitted;
  ASSIGN_OR_RETURN(admitted.plan, Compile(job, RequestedShape(job)));
  admitted.submitted = job;
  if (job.checkpoint().from().empty()) return admitted;
  ASSIGN_OR_RETURN(const auto origin, OriginOf(disk, job.checkpoint().from()));
  if (!Trains(job)) return admitted;
  admitted.start_step = StartStep(job, origin);
  if (admitted.start_step >= job.training().steps()) {
    return absl::InvalidArgumentError(absl::StrCat("training.steps: ", job.training().steps(),
                                                   ", but the checkpoint ", job.checkpoint().from(),
                                                   " already has ", admitted.start_step));
  }
  admitted.ancestors = AncestorsBy(origin);
  admitted.notes.push_back(DescribeOrigin(job, origin));
  if (!origin.has_value() || job.checkpoint().weights_only()) return admitted;
  ASSIGN_OR_RETURN(GoingOn going_on, GoOnFrom(job, *origin));
  ASSIGN_OR_RETURN(admitted.plan, Compile(going_on.job, RequestedShape(job)));
  admitted.kernel_isa = std::move(going_on.kernel_isa);
  admitted.notes.insert(admitted.notes.end(), going_on.notes.begin(), going_on.notes.end());
  return admitted;
}

absl::StatusOr<std::unique_ptr<FolderClaim>> ClaimFor(Disk& disk, const std::string& job_id,
                                                      const AdmittedJob& job) {
  const JobSpec& spec = job.plan.job;
  if (!Trains(spec) || spec.checkpoint().dir().empty()) return nullptr;
  auto claim = ClaimFolder(disk, spec.checkpoint().dir(),
                           {.job_id = job_id,
                            .name = spec.name(),
                            .ancestors = job.ancestors,
                            .from = spec.checkpoint().from(),
                            .start_step = job.start_step});
  if (claim.ok()) return claim;
  if (!absl::IsFailedPrecondition(claim.status())) return nullptr;
  return absl::InvalidArgumentError(absl::StrCat("checkpoint.dir: ", claim.status().message()));
}

std::unique_ptr<FolderClaim> ClaimAgain(Disk& disk, const JobRecord& record) {
  const JobSpec& job = record.status.job();
  if (!Trains(job) || job.checkpoint().dir().empty()) return nullptr;
  auto claim = ClaimFolder(disk, job.checkpoint().dir(), UserOf(record));
  return claim.ok() ? *std::move(claim) : nullptr;
}

}  // namespace waferstream
