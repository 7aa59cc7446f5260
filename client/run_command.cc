// `waferctl run`: a whole cluster for one job, then gone.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "base/flags.h"
#include "client/command.h"
#include "client/local_cluster.h"
#include "client/run_folder.h"
#include "client/run_job.h"

namespace waferstream {
namespace {

// The folder for a run that names none is nobody else's, whoever starts one in the same second.
absl::StatusOr<std::string> MakeRunFolder(const RunFlags& flags, const JobSpec& job) {
  if (!flags.run_dir.empty()) return CreateRunFolder("--run-dir", flags.run_dir);
  return CreateNewRunFolder(DefaultRunFolder(job.name(), absl::Now(), getpid()));
}

Outcome Run(const RunFlags& flags) {
  return RunJob(flags,
                {.make_folder = [&](const JobSpec& job) { return MakeRunFolder(flags, job); },
                 .run = RunLocalJob});
}

}  // namespace

void AddRunCommand(CLI::App& app, Outcome& outcome) {
  auto flags = std::make_shared<RunFlags>();
  CLI::App* command = app.add_subcommand("run", "Run one job on a local cluster made for it");
  AddRunFlags(*command, *flags);
  AddPath(*command, "--run-dir", flags->run_dir,
          "Folder for logs, state and checkpoints [runs/NAME-TIME-PID]");
  AddPath(
      *command, "--trace", flags->trace,
      "File for what every process does when, as Chrome trace events: ui.perfetto.dev shows it");
  AddFabricFlag(*command, flags->fabric);
  command->callback([flags, &outcome] { outcome = Run(*flags); });
}

}  // namespace waferstream
