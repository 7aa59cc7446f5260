// `waferctl run`: a whole cluster for one job, then gone.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/flags.h"
#include "base/status.h"
#include "client/command.h"
#include "client/job_input.h"
#include "client/job_view.h"
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
  Format format = Format::kTable;
  bool quiet = false;
};

// The job as it will be submitted. Nothing exists on the disk yet.
absl::StatusOr<JobSpec> PrepareJob(const RunFlags& flags) {
  ASSIGN_OR_RETURN(JobSpec job, LoadJob(flags.job));
  if (!flags.resume.empty()) {
    ASSIGN_OR_RETURN(std::string from, ResolveCheckpoint("--resume", flags.resume));
    job.mutable_checkpoint()->set_from(std::move(from));
  }
  RETURN_IF_ERROR(CheckJob(job));
  return job;
}

// With a paused job. Its cluster, and the weights there, are gone: it takes its last checkpoint and
// a new run.
std::string HowToGoOn(const JobStatus& status, const RunFlags& flags, const std::string& run_dir) {
  const bool sgd = status.job().training().optimizer().has_sgd();
  return absl::StrCat("`waferctl run -f ", flags.job.file,
                      status.checkpoint().empty() ? "" : absl::StrCat(" --resume ", run_dir),
                      " --set training.optimizer.", sgd ? "sgd" : "adamw",
                      ".lr=X` goes on with another learning rate");
}

Outcome Run(const RunFlags& flags) {
  ASSIGN_OR_RETURN(JobSpec job, PrepareJob(flags));
  const std::string dir =
      flags.run_dir.empty() ? DefaultRunFolder(job.name(), absl::Now(), getpid()) : flags.run_dir;
  ASSIGN_OR_RETURN(const std::string run_dir, CreateRunFolder("--run-dir", dir));
  if (job.checkpoint().dir().empty()) {
    job.mutable_checkpoint()->set_dir(run_dir + "/checkpoints");
  }
  Progress progress(stderr, Progress::StyleOfStderr(flags.quiet));
  if (!flags.quiet) {
    progress.Note(absl::StrCat("run folder: ", run_dir,
                               " (logs/, state/); checkpoints: ", job.checkpoint().dir()));
  }
  LocalJobOptions options;
  options.dir = run_dir;
  ASSIGN_OR_RETURN(const JobStatus status, RunLocalJob(job, options, progress));
  Json json = JobJson(status);
  json["run_dir"] = run_dir;
  return PrintJobResult(status, flags.format, json, HowToGoOn(status, flags, run_dir));
}

}  // namespace

void AddRunCommand(CLI::App& app, Outcome& outcome) {
  auto flags = std::make_shared<RunFlags>();
  CLI::App* command = app.add_subcommand("run", "Run one job on a local cluster made for it");
  AddJobFlags(*command, flags->job);
  AddPath(*command, "--run-dir", flags->run_dir,
          "Folder for logs, state and checkpoints [runs/NAME-TIME-PID]");
  AddPath(*command, "--resume", flags->resume,
          "Continue from this checkpoint, or the newest in this folder");
  command->add_flag("-q,--quiet", flags->quiet, "No progress");
  AddOutputFlag(*command, flags->format);
  command->callback([flags, &outcome] { outcome = Run(*flags); });
}

}  // namespace waferstream
