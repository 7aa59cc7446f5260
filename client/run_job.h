// What `run` and `mpi-run` do alike: one job on a cluster that exists for it.
#pragma once

#include <functional>
#include <string>

#include "client/command.h"
#include "client/job_input.h"
#include "client/local_job.h"
#include "client/output.h"
#include "client/progress.h"

namespace waferstream {

struct RunFlags {
  JobFlags job;
  std::string run_dir;
  std::string resume;
  std::string kernel_isa;
  std::string trace;   // of `run`: file; empty: none
  std::string fabric;  // of `run`
  Format format = Format::kTable;
  bool quiet = false;
};

// All but --run-dir, of which every command has its own idea.
void AddRunFlags(CLI::App& command, RunFlags& flags);

// Where a command differs.
struct RunWays {
  // How a person calls it to go on in a new run.
  const char* again = "run";
  // Whether the run folder is an earlier run's, of this job, which goes on. Asked first.
  std::function<bool(const JobSpec& job)> goes_on = [](const JobSpec&) { return false; };
  // The run folder, absolute, made if need be. Until then nothing has been written.
  std::function<absl::StatusOr<std::string>(const JobSpec& job)> make_folder;
  std::function<absl::StatusOr<JobStatus>(const JobSpec& job, const LocalJobOptions& options,
                                          Progress& progress)>
      run;
};

// Reads and checks the job, runs it and prints its result.
Outcome RunJob(const RunFlags& flags, const RunWays& ways);

}  // namespace waferstream
