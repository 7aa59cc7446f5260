#include "client/run_job.h"

#include <CLI/CLI.hpp>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/flags.h"
#include "base/own_process.h"
#include "base/status.h"
#include "client/job_view.h"
#include "client/kernel_isa.h"
#include "client/local_cluster.h"
#include "client/run_folder.h"
#include "client/traces.h"
#include "client/watch_job.h"
#include "plan/kernel_order.h"
#include "plan/learning_rate.h"

namespace waferstream {
namespace {

// `notes`: what is to be said of what it starts from, quiet or not.
absl::StatusOr<JobSpec> ReadJob(const RunFlags& flags, std::vector<std::string>& notes) {
  ASSIGN_OR_RETURN(JobSpec job, LoadJob(flags.job));
  if (!flags.resume.empty()) {
    ASSIGN_OR_RETURN(NamedCheckpoint from, ResolveContinuation("--resume", flags.resume));
    job.mutable_checkpoint()->set_from(std::move(from.path));
    notes = std::move(from.notes);
  }
  return job;
}

// What the wafers will compute with.
absl::StatusOr<std::string> KernelsOf(const JobSpec& job, const std::string& kernel_isa) {
  ASSIGN_OR_RETURN(const std::string isa, AskKernelIsa(kernel_isa));
  if (IsPortable(job) && !HasFusedSums(isa)) {
    return absl::InvalidArgumentError(
        absl::StrCat(kPortableNeeds, "; the wafer nodes here compute with ", isa));
  }
  return KernelsFor(job, isa);
}

// With a paused job. Its cluster, and the weights there, are gone: it takes its last checkpoint and
// a new run.
std::string HowToGoOn(const JobStatus& status, const RunFlags& flags, const char* again) {
  const std::string lr = absl::StrCat("training.optimizer.",
                                      OptimizerName(status.job().training().optimizer()), ".lr");
  const std::string& checkpoint = status.checkpoint();
  return absl::StrCat(
      "`waferctl ", again, " -f ", flags.job.file,
      checkpoint.empty() ? "" : absl::StrCat(" --resume ", checkpoint, " --accept ", lr), " --set ",
      lr, "=X` goes on with another learning rate");
}

}  // namespace

void AddRunFlags(CLI::App& command, RunFlags& flags) {
  AddJobFlags(command, flags.job);
  AddAcceptFlag(command, flags.job);
  AddPath(command, "--resume", flags.resume,
          "Continue from this checkpoint, or the newest in this folder")
      ->configurable(false);
  AddKernelIsaFlag(command, flags.kernel_isa);
  AddSwitch(command, "-q,--quiet", flags.quiet, "No progress");
  AddOutputFlag(command, flags.format);
}

Outcome RunJob(const RunFlags& flags, const RunWays& ways) {
  std::vector<std::string> notes;
  ASSIGN_OR_RETURN(JobSpec job, ReadJob(flags, notes));
  const bool goes_on = ways.goes_on(job);
  RETURN_IF_ERROR(CheckJob(job, goes_on ? OutputFolder::kOurs : OutputFolder::kToCheck, notes));
  RETURN_IF_ERROR(CheckDescriptors("cluster", DescriptorsNeeded(RequestedShape(job))));
  ASSIGN_OR_RETURN(const std::string kernels, KernelsOf(job, flags.kernel_isa));
  if (!flags.trace.empty()) RETURN_IF_ERROR(CheckTraceFile(flags.trace));
  ASSIGN_OR_RETURN(const std::string run_dir, ways.make_folder(job));
  if (job.checkpoint().dir().empty()) {
    job.mutable_checkpoint()->set_dir(run_dir + "/checkpoints");
  }
  Progress progress(stderr, Progress::StyleOfStderr(flags.quiet));
  for (const std::string& note : notes) progress.Note(note);
  if (!flags.quiet) {
    progress.Note(absl::StrCat("run folder: ", run_dir,
                               " (logs/, state/); checkpoints: ", job.checkpoint().dir()));
    progress.Note(absl::StrCat("kernels: ", kernels));
  }
  LocalJobOptions options;
  options.dir = run_dir;
  options.kernel_isa = flags.kernel_isa;
  options.trace = flags.trace;
  options.fabric = flags.fabric;
  const absl::StatusOr<JobStatus> ended = ways.run(job, options, progress);
  // A job that was not taken (another took its folder meanwhile) leaves nothing behind.
  if (absl::IsInvalidArgument(ended.status()) && !goes_on) RemoveRunFolder(run_dir);
  RETURN_IF_ERROR(ended.status());
  const JobStatus& status = *ended;
  Json json = JobJson(status);
  json["run_dir"] = run_dir;
  return PrintJobResult(status, flags.format, json, HowToGoOn(status, flags, ways.again));
}

}  // namespace waferstream
