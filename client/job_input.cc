#include "client/job_input.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/flags.h"
#include "base/status.h"
#include "base/user_input.h"
#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/folder.h"
#include "checkpoint/layout.h"
#include "checkpoint/posix_disk.h"
#include "data/token_file.h"
#include "plan/job_yaml.h"
#include "plan/plan.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;

// A file that the user named is wrong, whatever is wrong with it.
absl::Status AsUsersMistake(const absl::Status& status) {
  return status.ok() ? status : absl::InvalidArgumentError(status.message());
}

// The path becomes part of a message, which takes no other bytes than UTF-8.
absl::StatusOr<std::string> PathToSend(const std::string& field, const std::string& path) {
  ASSIGN_OR_RETURN(std::string absolute, AbsolutePath(field, path));
  RETURN_IF_ERROR(CheckText(field, absolute));
  return absolute;
}

absl::Status MakeAbsolute(const std::string& field, std::string* path) {
  if (path->empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(*path, PathToSend(field, *path));
  return absl::OkStatus();
}

void AddCount(std::vector<std::string>& overrides, const char* key, std::optional<int> count) {
  if (count) overrides.push_back(absl::StrCat("cluster.", key, "=", *count));
}

bool IsCheckpoint(const fs::path& dir) {
  std::error_code ignored;
  return fs::exists(dir / kConfigFile, ignored);
}

absl::Status CheckTokens(const char* field, const std::string& path, const ModelSpec& model) {
  auto check = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(const std::unique_ptr<TokenFile> file, TokenFile::Open(path));
    RETURN_IF_ERROR(file->Samples(model.context()).status());
    return file->CheckVocabulary(model.vocab());
  };
  const absl::Status status = check();
  if (status.ok()) return status;
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", status.message()));
}

absl::Status CheckData(const JobSpec& job) {
  RETURN_IF_ERROR(CheckTokens("data.train", job.data().train(), job.model()));
  if (job.data().validation().empty()) return absl::OkStatus();
  return CheckTokens("data.validation", job.data().validation(), job.model());
}

absl::Status CheckSteps(const JobSpec& job, const Manifest& manifest) {
  if (job.has_generate() || manifest.steps_done < job.training().steps()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("checkpoint.from: ", job.checkpoint().from(), " is after ", manifest.steps_done,
                   " steps, and training.steps is ", job.training().steps()));
}

absl::Status CheckCheckpoint(const JobSpec& job, const Plan& plan) {
  const std::string& from = job.checkpoint().from();
  ASSIGN_OR_RETURN(const CheckpointReader weights,
                   CheckpointReader::Open(PosixDisk(), from, job.model(), plan.parameters, {}));
  // A checkpoint without a manifest is somebody else's: it has no hashes and no steps.
  if (!weights.manifest()) return weights.CheckFinite();
  RETURN_IF_ERROR(CheckSteps(job, *weights.manifest()));
  if (!job.has_generate() && weights.manifest()->steps_done > 0) {
    RETURN_IF_ERROR(CheckpointReader::Open(PosixDisk(), from, job.model(), plan.parameters,
                                           OptimizerStates(job.training().optimizer()))
                        .status());
  }
  return weights.Verify();
}

}  // namespace

void AddJobFlags(CLI::App& command, JobFlags& flags) {
  AddPath(command, "-f,--file", flags.file, "The job, a YAML file")->required();
  command.add_option("--set", flags.set, "Replaces a value of the job file; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  const Bounds count = {.low = 1, .high = 1 << 16};
  AddWhole(command, "--wafers", flags.wafers, "Wafer nodes, instead of the job file's", count);
  AddWhole(command, "--memoryx", flags.memoryx, "MemoryX nodes, instead of the job file's", count);
  AddWhole(command, "--swarmx", flags.swarmx, "SwarmX nodes, instead of the job file's", count);
}

absl::StatusOr<JobSpec> LoadJob(const JobFlags& flags) {
  std::vector<std::string> overrides = flags.set;
  AddCount(overrides, "wafers", flags.wafers);
  AddCount(overrides, "memoryx", flags.memoryx);
  AddCount(overrides, "swarmx", flags.swarmx);
  absl::StatusOr<JobSpec> job = ReadJobFile(flags.file, overrides);
  if (!job.ok()) return AsUsersMistake(job.status());
  CheckpointSpec* checkpoint = job->mutable_checkpoint();
  RETURN_IF_ERROR(MakeAbsolute("checkpoint.dir", checkpoint->mutable_dir()));
  RETURN_IF_ERROR(MakeAbsolute("checkpoint.from", checkpoint->mutable_from()));
  return job;
}

absl::StatusOr<std::string> ResolveCheckpoint(const std::string& flag, const std::string& dir) {
  ASSIGN_OR_RETURN(const fs::path path, PathToSend(flag, dir));
  if (IsCheckpoint(path)) return path.string();
  for (const fs::path& folder : {path, path / "checkpoints"}) {
    ASSIGN_OR_RETURN(const std::vector<CheckpointEntry> entries,
                     ListCheckpoints(PosixDisk(), folder.string()));
    if (!entries.empty()) return entries.back().path;
  }
  return absl::InvalidArgumentError(absl::StrCat(flag, ": no checkpoint in ", path.string()));
}

absl::Status CheckJob(const JobSpec& job) {
  ASSIGN_OR_RETURN(const Plan plan, Compile(job, RequestedShape(job)));
  if (!job.has_generate()) RETURN_IF_ERROR(CheckData(job));
  if (job.checkpoint().from().empty()) return absl::OkStatus();
  return AsUsersMistake(CheckCheckpoint(job, plan));
}

}  // namespace waferstream
