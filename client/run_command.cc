// `waferctl run`: a whole cluster for one job, then gone.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/flags.h"
#include "base/own_process.h"
#include "base/status.h"
#include "client/command.h"
#include "client/job_input.h"
#include "client/job_view.h"
#include "client/kernel_isa.h"
#include "client/local_cluster.h"
#include "client/local_job.h"
#include "client/output.h"
#include "client/run_folder.h"
#include "client/watch_job.h"

namespace waferstream {
namespace {

struct RunFlags {
  JobFlags job;
  std::string run_dir;
  std::string resume;
  std::string kernel_isa;
  Format format = Format::kTable;
  bool quiet = false;
};

// The job as it will be submitted. Nothing exists on the disk yet. `notes`: what is to be said of
// what it starts from, quiet or not.
absl::StatusOr<JobSpec> PrepareJob(const RunFlags& flags, std::vector<std::string>& notes) {
  ASSIGN_OR_RETURN(JobSpec job, LoadJob(flags.job));
  if (!flags.resume.empty()) {
    ASSIGN_OR_RETURN(NamedCheckpoint from, ResolveContinuation("--resume", flags.resume));
    job.mutable_checkpoint()->set_from(std::move(from.path));
    notes = std::move(from.notes);
  }
  RETURN_IF_ERROR(CheckJob(job, notes));
  RETURN_IF_ERROR(CheckDescriptors("cluster", DescriptorsNeeded(RequestedShape(job))));
  return job;
}

// The folder for a run that names none is nobody else's, whoever starts one in the same second.
absl::StatusOr<std::string> MakeRunFolder(const RunFlags& flags, const JobSpec& job) {
  if (!flags.run_dir.empty()) return CreateRunFolder("--run-dir", flags.run_dir);
  return CreateNewRunFolder(DefaultRunFolder(job.name(), absl::Now(), getpid()));
}

// With a paused job. Its cluster, and the weights there, are gone: it takes its last checkpoint and
// a new run.
std::string HowToGoOn(const JobStatus& status, const RunFlags& flags) {
  const bool sgd = status.job().training().optimizer().has_sgd();
  const char* lr = sgd ? "training.optimizer.sgd.lr" : "training.optimizer.adamw.lr";
  const std::string& checkpoint = status.checkpoint();
  return absl::StrCat(
      "`waferctl run -f ", flags.job.file,
      checkpoint.empty() ? "" : absl::StrCat(" --resume ", checkpoint, " --accept ", lr), " --set ",
      lr, "=X` goes on with another learning rate");
}

Outcome Run(const RunFlags& flags) {
  std::vector<std::string> notes;
  ASSIGN_OR_RETURN(JobSpec job, PrepareJob(flags, notes));
  ASSIGN_OR_RETURN(const std::string kernels, AskKernelIsa(flags.kernel_isa));
  ASSIGN_OR_RETURN(const std::string run_dir, MakeRunFolder(flags, job));
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
  const absl::StatusOr<JobStatus> ended = RunLocalJob(job, options, progress);
  // A job that was not taken (another took its folder meanwhile) leaves nothing behind.
  if (absl::IsInvalidArgument(ended.status())) RemoveRunFolder(run_dir);
  RETURN_IF_ERROR(ended.status());
  const JobStatus& status = *ended;
  Json json = JobJson(status);
  json["run_dir"] = run_dir;
  return PrintJobResult(status, flags.format, json, HowToGoOn(status, flags));
}

}  // namespace

void AddRunCommand(CLI::App& app, Outcome& outcome) {
  auto flags = std::make_shared<RunFlags>();
  CLI::App* command = app.add_subcommand("run", "Run one job on a local cluster made for it");
  AddJobFlags(*command, flags->job);
  AddAcceptFlag(*command, flags->job);
  AddPath(*command, "--run-dir", flags->run_dir,
          "Folder for logs, state and checkpoints [runs/NAME-TIME-PID]");
  AddPath(*command, "--resume", flags->resume,
          "Continue from this checkpoint, or the newest in this folder");
  AddKernelIsaFlag(*command, flags->kernel_isa);
  command->add_flag("-q,--quiet", flags->quiet, "No progress");
  AddOutputFlag(*command, flags->format);
  command->callback([flags, &outcome] { outcome = Run(*flags); });
}

}  // namespace waferstream
