#include "client/job_input.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/folder.h"
#include "checkpoint/go_on.h"
#include "checkpoint/layout.h"
#include "checkpoint/posix_disk.h"
#include "data/job_data.h"
#include "plan/dependencies.h"
#include "plan/job_yaml.h"
#include "plan/plan.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;

// A file that the user named is wrong, whatever is wrong with it.
absl::Status AsUsersMistake(const absl::Status& status) {
  return status.ok() ? status : absl::InvalidArgumentError(status.message());
}

void MakeAbsolute(std::string* path) {
  if (!path->empty()) *path = fs::absolute(*path).lexically_normal().string();
}

void AddCount(std::vector<std::string>& overrides, const char* key, std::optional<int> count) {
  if (count) overrides.push_back(absl::StrCat("cluster.", key, "=", *count));
}

bool IsCheckpoint(const fs::path& dir) {
  std::error_code ignored;
  return fs::exists(dir / kConfigFile, ignored);
}

absl::Status CheckSteps(const JobSpec& job, const Manifest& manifest) {
  if (job.has_generate() || manifest.steps_done < job.training().steps()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("checkpoint.from: ", job.checkpoint().from(), " is after ", manifest.steps_done,
                   " steps, and training.steps is ", job.training().steps()));
}

absl::Status CheckCheckpoint(const JobSpec& job, const Plan& plan,
                             std::vector<std::string>& notes) {
  const std::string& from = job.checkpoint().from();
  ASSIGN_OR_RETURN(const CheckpointReader weights,
                   CheckpointReader::Open(PosixDisk(), from, job.model(), plan.parameters, {}));
  // A checkpoint without a manifest is somebody else's: it has no hashes and no steps.
  if (!weights.manifest()) return absl::OkStatus();
  RETURN_IF_ERROR(CheckSteps(job, *weights.manifest()));
  if (!job.has_generate() && weights.manifest()->steps_done > 0) {
    ASSIGN_OR_RETURN(const GoingOn going_on, GoOnFrom(job, *weights.manifest()));
    notes.insert(notes.end(), going_on.notes.begin(), going_on.notes.end());
    RETURN_IF_ERROR(CheckpointReader::Open(PosixDisk(), from, job.model(), plan.parameters,
                                           OptimizerStates(job.training().optimizer()))
                        .status());
  }
  return weights.Verify();
}

}  // namespace

void AddJobFlags(CLI::App& command, JobFlags& flags) {
  command.add_option("-f,--file", flags.file, "The job, a YAML file")->required();
  command.add_option("--set", flags.set, "Replaces a value of the job file; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command.add_option("--wafers", flags.wafers, "Wafer nodes, instead of the job file's");
  command.add_option("--memoryx", flags.memoryx, "MemoryX nodes, instead of the job file's");
  command.add_option("--swarmx", flags.swarmx, "SwarmX nodes, instead of the job file's");
}

void AddAcceptFlag(CLI::App& command, JobFlags& flags) {
  command
      .add_option("--accept", flags.accept,
                  "Goes on from a checkpoint although this is not what it was; may be repeated")
      ->type_name("KEY")
      ->allow_extra_args(false);
}

absl::StatusOr<JobSpec> LoadJob(const JobFlags& flags) {
  RETURN_IF_ERROR(CheckAccept("--accept", flags.accept));
  std::vector<std::string> overrides = flags.set;
  AddCount(overrides, "wafers", flags.wafers);
  AddCount(overrides, "memoryx", flags.memoryx);
  AddCount(overrides, "swarmx", flags.swarmx);
  absl::StatusOr<JobSpec> job = ReadJobFile(flags.file, overrides);
  if (!job.ok()) return AsUsersMistake(job.status());
  job->mutable_checkpoint()->mutable_accept()->Add(flags.accept.begin(), flags.accept.end());
  MakeAbsolute(job->mutable_checkpoint()->mutable_dir());
  MakeAbsolute(job->mutable_checkpoint()->mutable_from());
  return job;
}

absl::StatusOr<std::string> ResolveCheckpoint(const std::string& flag, const std::string& dir) {
  const fs::path path = fs::absolute(dir).lexically_normal();
  if (IsCheckpoint(path)) return path.string();
  for (const fs::path& folder : {path, path / "checkpoints"}) {
    ASSIGN_OR_RETURN(const std::vector<CheckpointEntry> entries,
                     ListCheckpoints(PosixDisk(), folder.string()));
    if (!entries.empty()) return entries.back().path;
  }
  return absl::InvalidArgumentError(absl::StrCat(flag, ": no checkpoint in ", path.string()));
}

absl::Status CheckJob(JobSpec& job, std::vector<std::string>& notes) {
  RETURN_IF_ERROR(CheckAccept(
      "checkpoint.accept", {job.checkpoint().accept().begin(), job.checkpoint().accept().end()}));
  ASSIGN_OR_RETURN(Plan plan, Compile(job, RequestedShape(job)));
  if (!job.has_generate()) {
    RETURN_IF_ERROR(RecordContent(job));
    // How much there is to validate is known only now.
    ASSIGN_OR_RETURN(plan, Compile(job, RequestedShape(job)));
  }
  if (job.checkpoint().from().empty()) return absl::OkStatus();
  return AsUsersMistake(CheckCheckpoint(job, plan, notes));
}

}  // namespace waferstream
