// `waferctl mpi-run`: one job on the ranks of one mpirun or srun.
#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/flags.h"
#include "base/status.h"
#include "base/user_input.h"
#include "client/command.h"
#include "client/mpi_job.h"
#include "client/mpi_rank.h"
#include "client/run_folder.h"
#include "client/run_job.h"
#include "plan/plan.h"

namespace waferstream {
namespace {

std::string FolderOf(const RunFlags& flags, const JobSpec& job) {
  return flags.run_dir.empty() ? absl::StrCat("runs/", job.name(), "-mpi") : flags.run_dir;
}

absl::Status CheckRanks(const JobSpec& job, const RunFlags& flags) {
  const ClusterShape shape = RequestedShape(job);
  const int needed = 1 + shape.memoryx + shape.swarmx + shape.wafers;
  const std::optional<MpiRank> rank = RankFromEnvironment();
  if (rank.has_value() && rank->size == needed) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "mpi-run: the job takes ", needed, " ranks (1 controller, ", shape.memoryx, " MemoryX, ",
      shape.swarmx, " SwarmX, ", shape.wafers, " wafers), and ",
      rank.has_value() ? absl::StrCat(rank->size, " were launched") : "nobody launched any",
      ": mpirun -n ", needed, " waferctl mpi-run -f ", flags.job.file));
}

Outcome MpiRun(const RunFlags& flags, bool insecure) {
  return RunJob(
      flags,
      // The folder of a paused job is that job's.
      {.again = "mpi-run --run-dir ANOTHER",
       .goes_on =
           [&](const JobSpec& job) {
             const auto dir = AbsolutePath("--run-dir", FolderOf(flags, job));
             return dir.ok() && HasRunBefore(*dir);
           },
       .make_folder = [&](const JobSpec& job) -> absl::StatusOr<std::string> {
         RETURN_IF_ERROR(CheckRanks(job, flags));
         ASSIGN_OR_RETURN(const std::string dir, AbsolutePath("--run-dir", FolderOf(flags, job)));
         return HasRunBefore(dir) ? dir : CreateRunFolder("--run-dir", dir);
       },
       .run = [&](const JobSpec& job, const LocalJobOptions& options,
                  Progress& progress) { return RunMpiJob(job, options, insecure, progress); }});
}

}  // namespace

void AddMpiRunCommand(CLI::App& app, Outcome& outcome) {
  auto flags = std::make_shared<RunFlags>();
  auto insecure = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand(
      "mpi-run", "Run one job on the ranks of mpirun or srun; again, it goes on with it");
  AddRunFlags(*command, *flags);
  AddPath(*command, "--run-dir", flags->run_dir,
          "Folder for logs, state and checkpoints, of this one job [runs/NAME-mpi]");
  AddSwitch(*command, "--insecure", *insecure,
            "On several hosts: in the clear, since nobody else is on the way between them");
  command->callback([flags, insecure, &outcome] { outcome = MpiRun(*flags, *insecure); });
}

}  // namespace waferstream
