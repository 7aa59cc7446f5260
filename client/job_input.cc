#include "client/job_input.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/flags.h"
#include "base/status.h"
#include "base/user_input.h"
#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/config.h"
#include "checkpoint/go_on.h"
#include "checkpoint/inspect.h"
#include "checkpoint/layout.h"
#include "checkpoint/origin.h"
#include "checkpoint/ownership.h"
#include "checkpoint/posix_disk.h"
#include "client/model_tokenizer.h"
#include "data/job_data.h"
#include "data/tokenizer_files.h"
#include "plan/dependencies.h"
#include "plan/job_kind.h"
#include "plan/job_yaml.h"
#include "plan/optimizer_state.h"
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

// One that is damaged is one, too.
bool IsCheckpoint(const fs::path& dir) {
  std::error_code ignored;
  return fs::exists(dir / kConfigFile, ignored) || fs::exists(dir / kManifestFile, ignored);
}

absl::Status CheckSteps(const JobSpec& job, const Manifest& manifest) {
  if (!Trains(job) || StartStep(job, manifest) < job.training().steps()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("checkpoint.from: ", job.checkpoint().from(), " is after ", manifest.steps_done,
                   " steps, and training.steps is ", job.training().steps()));
}

// What the job starts from, if it is a checkpoint of this system. `notes`: see CheckJob.
absl::StatusOr<std::optional<Manifest>> CheckCheckpoint(const JobSpec& job, const Plan& plan,
                                                        std::vector<std::string>& notes) {
  const std::string& from = job.checkpoint().from();
  ASSIGN_OR_RETURN(const CheckpointReader weights,
                   CheckpointReader::Open(PosixDisk(), from, job.model(), plan.parameters, {}));
  // A checkpoint without a manifest is somebody else's: it has no hashes and no steps.
  if (!weights.manifest()) {
    RETURN_IF_ERROR(weights.CheckContent());
    return ReadOrigin(PosixDisk(), from);
  }
  RETURN_IF_ERROR(CheckSteps(job, *weights.manifest()));
  if (Trains(job) && StartStep(job, weights.manifest()) > 0) {
    ASSIGN_OR_RETURN(const GoingOn going_on, GoOnFrom(job, *weights.manifest()));
    notes.insert(notes.end(), going_on.notes.begin(), going_on.notes.end());
    RETURN_IF_ERROR(
        CheckpointReader::Open(PosixDisk(), from, job.model(), plan.parameters, StatesOf(plan))
            .status());
  }
  RETURN_IF_ERROR(weights.Verify());
  return weights.manifest();
}

// What goes into the checkpoints must be a tokenizer, and of this model.
absl::Status CheckTokenizer(const JobSpec& job) {
  const std::string& folder = job.data().tokenizer();
  if (folder.empty()) return absl::OkStatus();
  const auto refuse = [](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("data.tokenizer: ", why));
  };
  const absl::StatusOr<std::optional<TokenizerFiles>> found = FindTokenizer(folder);
  if (!found.ok()) return refuse(found.status().message());
  if (!found->has_value()) return refuse(absl::StrCat(folder, ": has no tokenizer"));
  const absl::Status fits = CheckFits(**found, job.model());
  return fits.ok() ? fits : refuse(fits.message());
}

// Whoever finds out later, when a cluster has been started, finds it out again.
absl::Status CheckOutput(const JobSpec& job, const std::optional<Manifest>& origin) {
  if (!Trains(job) || job.checkpoint().dir().empty()) return absl::OkStatus();
  absl::Status status = CheckFolder(PosixDisk(), job.checkpoint().dir(),
                                    {.job_id = "",
                                     .name = job.name(),
                                     .ancestors = AncestorsBy(origin),
                                     .from = job.checkpoint().from(),
                                     .start_step = StartStep(job, origin)});
  if (status.ok()) return status;
  return absl::InvalidArgumentError(absl::StrCat("checkpoint.dir: ", status.message()));
}

// The newest whole one in the folder; nullopt: there is none. `notes`: why not a newer one.
absl::StatusOr<std::optional<std::string>> NewestWhole(const std::string& flag,
                                                       const std::string& folder,
                                                       std::vector<std::string>& notes) {
  ASSIGN_OR_RETURN(const auto found, FindCheckpoints(PosixDisk(), folder, Depth::kSizes));
  for (auto checkpoint = found.rbegin(); checkpoint != found.rend(); ++checkpoint) {
    absl::Status status = checkpoint->manifest.status();
    if (status.ok()) status = VerifyFiles(PosixDisk(), checkpoint->path, *checkpoint->manifest);
    if (status.ok()) return checkpoint->path;
    notes.push_back(absl::StrCat(flag, ": ", checkpoint->name(),
                                 " is damaged and passed over: ", status.message()));
  }
  return std::nullopt;
}

}  // namespace

void AddJobFlags(CLI::App& command, JobFlags& flags) {
  AddPath(command, "-f,--file", flags.file, "The job, a YAML file")
      ->required()
      ->configurable(false);
  command.add_option("--set", flags.set, "Replaces a value of the job file; may be repeated")
      ->type_name("KEY=VALUE")
      ->configurable(false)
      ->allow_extra_args(false);
  const Bounds count = {.low = 1, .high = 1 << 16};
  AddWhole(command, "--wafers", flags.wafers, "Wafer nodes, instead of the job file's", count);
  AddWhole(command, "--memoryx", flags.memoryx, "MemoryX nodes, instead of the job file's", count);
  AddWhole(command, "--swarmx", flags.swarmx, "SwarmX nodes, instead of the job file's", count);
}

void AddAcceptFlag(CLI::App& command, JobFlags& flags) {
  command
      .add_option("--accept", flags.accept,
                  "Goes on from a checkpoint although this is not what it was; may be repeated")
      ->type_name("KEY")
      ->configurable(false)
      ->allow_extra_args(false);
}

absl::StatusOr<JobSpec> LoadJob(const JobFlags& flags) {
  RETURN_IF_ERROR(CheckAccept("--accept", flags.accept));
  std::vector<std::string> overrides = flags.set;
  AddCount(overrides, "wafers", flags.wafers);
  AddCount(overrides, "memoryx", flags.memoryx);
  AddCount(overrides, "swarmx", flags.swarmx);
  absl::StatusOr<JobSpec> job = ReadJobFile(flags.file, overrides, [](const std::string& folder) {
    return ReadConfig(PosixDisk(), folder);
  });
  if (!job.ok()) return AsUsersMistake(job.status());
  CheckpointSpec* checkpoint = job->mutable_checkpoint();
  checkpoint->mutable_accept()->Add(flags.accept.begin(), flags.accept.end());
  RETURN_IF_ERROR(MakeAbsolute("checkpoint.dir", checkpoint->mutable_dir()));
  RETURN_IF_ERROR(MakeAbsolute("checkpoint.from", checkpoint->mutable_from()));
  return job;
}

absl::StatusOr<NamedCheckpoint> ResolveCheckpoint(const std::string& flag, const std::string& dir) {
  ASSIGN_OR_RETURN(const fs::path path, PathToSend(flag, dir));
  NamedCheckpoint named;
  if (IsCheckpoint(path)) {
    named.path = path.string();
    return named;
  }
  for (const fs::path& folder : {path, path / "checkpoints"}) {
    ASSIGN_OR_RETURN(const std::optional<std::string> newest,
                     NewestWhole(flag, folder.string(), named.notes));
    if (!newest.has_value()) continue;
    named.path = *newest;
    return named;
  }
  if (named.notes.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(flag, ": no checkpoint in ", path.string()));
  }
  return absl::InvalidArgumentError(
      absl::StrCat(flag, ": no checkpoint in ", path.string(), " is whole; ", named.notes.front()));
}

absl::StatusOr<NamedCheckpoint> ResolveContinuation(const std::string& flag,
                                                    const std::string& dir) {
  ASSIGN_OR_RETURN(NamedCheckpoint named, ResolveCheckpoint(flag, dir));
  const auto origin = ReadOrigin(PosixDisk(), named.path);
  if (!origin.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(flag, ": ", origin.status().message()));
  }
  if (origin->has_value()) return named;
  return absl::InvalidArgumentError(absl::StrCat(
      flag, ": ", named.path, " has no ", kManifestFile, " that says where to go on (another ",
      "system's, or an export); `--set checkpoint.from=", named.path,
      "` starts at step 0 from its weights"));
}

absl::Status CheckJob(JobSpec& job, OutputFolder output, std::vector<std::string>& notes) {
  RETURN_IF_ERROR(CheckTokenizer(job));
  RETURN_IF_ERROR(CheckAccept(
      "checkpoint.accept", {job.checkpoint().accept().begin(), job.checkpoint().accept().end()}));
  ASSIGN_OR_RETURN(Plan plan, Compile(job, RequestedShape(job)));
  if (!job.has_generate()) {
    RETURN_IF_ERROR(RecordContent(PosixDisk(), job));
    // How much there is to validate is known only now.
    ASSIGN_OR_RETURN(plan, Compile(job, RequestedShape(job)));
  }
  std::optional<Manifest> origin;
  std::vector<std::string> going_on;
  if (!job.checkpoint().from().empty()) {
    auto checked = CheckCheckpoint(job, plan, going_on);
    if (!checked.ok()) return AsUsersMistake(checked.status());
    origin = *std::move(checked);
  }
  if (output == OutputFolder::kToCheck) RETURN_IF_ERROR(CheckOutput(job, origin));
  if (!job.checkpoint().from().empty()) notes.push_back(DescribeOrigin(job, origin));
  notes.insert(notes.end(), going_on.begin(), going_on.end());
  return absl::OkStatus();
}

}  // namespace waferstream
