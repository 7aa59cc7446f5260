#include "plan/job_yaml.h"

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/regular_file.h"
#include "base/status.h"
#include "base/user_input.h"
#include "plan/job_entries.h"
#include "plan/job_fields.h"
#include "plan/job_keys.h"
#include "plan/job_value.h"
#include "plan/parameter_choice.h"

namespace waferstream {
namespace {

constexpr size_t kJobFileBytesMax = 1 << 20;  // a job has a kilobyte

absl::Status CheckOptionsOf(const JobEntries& entries, const std::string& name) {
  const absl::Status status =
      CheckOptions([&](absl::string_view section) { return entries.HasSection(section); });
  if (status.ok()) return status;
  return absl::InvalidArgumentError(absl::StrCat(name, ": ", status.message()));
}

// A checkpoint folder that is named, but by nothing: a variable that is not set. Without the folder
// the job would start over, or write elsewhere, in silence.
absl::Status CheckGiven(const JobKey& key, const JobSpec& job) {
  const bool names_a_folder = key.path == "checkpoint.from" || key.path == "checkpoint.dir";
  if (!names_a_folder || !TextIn(job, key.Field()).empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(key.path, ": is empty; leave it out, or give it a value"));
}

// `has_model`: what is not given of the model is in the job already.
absl::Status Read(const JobKey& key, const JobEntries& entries, const std::string& name,
                  bool has_model, JobSpec& job) {
  const absl::string_view section = OptionalSectionOf(key.path);
  if (!section.empty()) {
    if (!entries.HasSection(section)) return absl::OkStatus();
    AddSection(job, section);
  }
  if (const JobEntry* entry = entries.Find(key.path)) {
    absl::Status status = SetFromYaml(key, entry->value, job);
    if (status.ok()) status = CheckGiven(key, job);
    if (status.ok()) return status;
    return absl::Status(status.code(), absl::StrCat(entry->where, ": ", status.message()));
  }
  if (has_model && section.empty() && IsInside(key.path, "model")) return absl::OkStatus();
  if (key.required) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": ", key.path, ": missing"));
  }
  if (!key.fallback.empty()) WS_CHECK(SetFallback(key, job).ok());
  return absl::OkStatus();
}

// Whether the job takes its model from a folder; then it has it, and starts from its weights.
absl::StatusOr<bool> TakeModel(const JobEntries& entries, const ModelOfFolder& model_of,
                               JobSpec& job) {
  const JobEntry* from = entries.Find(kModelFrom);
  if (from == nullptr) return false;
  const auto refuse = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat(from->where, ": ", kModelFrom, ": ", why));
  };
  if (model_of == nullptr) return refuse("is nothing that this command can read");
  if (!from->value.IsScalar() || from->value.Scalar().empty()) return refuse("must be a folder");
  absl::StatusOr<ModelSpec> model = model_of(from->value.Scalar());
  if (!model.ok()) return refuse(model.status().message());
  *job.mutable_model() = *std::move(model);
  job.mutable_checkpoint()->set_from(from->value.Scalar());
  return true;
}

absl::StatusOr<std::string> Absolute(const JobKey& key, const std::filesystem::path& base_dir,
                                     const std::filesystem::path& path) {
  if (path.empty() || path.is_absolute()) return path.string();
  std::string absolute = (base_dir / path).lexically_normal().string();
  RETURN_IF_ERROR(CheckText(key, absolute));
  return absolute;
}

// Defaults that depend on other keys.
absl::Status SetDerived(const std::string& base_dir, JobSpec& job) {
  if (job.model().ffn() == 0) job.mutable_model()->set_ffn(4 * job.model().hidden());
  for (const JobKey& key : JobKeys()) {
    if (key.kind == KeyKind::kPath) {
      ASSIGN_OR_RETURN(std::string path, Absolute(key, base_dir, TextIn(job, key.Field())));
      SetText(job, key.Field(), std::move(path));
    }
    if (key.kind == KeyKind::kPathList) {
      std::vector<std::string> paths = TextsIn(job, key.Field());
      for (std::string& path : paths) {
        ASSIGN_OR_RETURN(path, Absolute(key, base_dir, path));
      }
      SetTexts(job, key.Field(), paths);
    }
  }
  return absl::OkStatus();
}

// What only the model tells, where the file says it. Of a model that cannot be built because of
// what the file does not say, the planner says why.
absl::Status CheckPatternsOf(const JobEntries& entries, const JobSpec& job) {
  const absl::StatusOr<std::vector<Parameter>> parameters = BuildParameters(job.model());
  if (!parameters.ok()) {
    const absl::string_view message = parameters.status().message();
    const JobEntry* entry = entries.Find(message.substr(0, message.find(':')));
    if (entry == nullptr) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(entry->where, ": ", message));
  }
  for (const absl::string_view key : PatternKeys()) {
    const JobEntry* entry = entries.Find(key);
    if (entry == nullptr) continue;
    const absl::Status status = CheckPatterns(key, job.training(), *parameters);
    if (status.ok()) continue;
    return absl::Status(status.code(), absl::StrCat(entry->where, ": ", status.message()));
  }
  return absl::OkStatus();
}

// A path that is empty was not given; written down, it would be refused.
bool IsLeftOut(const JobKey& key, const JobSpec& job) {
  const bool is_path = key.kind == KeyKind::kPath || key.kind == KeyKind::kFolder;
  return is_path && TextIn(job, key.Field()).empty();
}

}  // namespace

absl::StatusOr<JobSpec> ReadJobFile(const std::string& path,
                                    const std::vector<std::string>& overrides,
                                    const ModelOfFolder& model_of) {
  ASSIGN_OR_RETURN(const std::string text, ReadRegularFile(path, kJobFileBytesMax));
  ASSIGN_OR_RETURN(const std::filesystem::path absolute, AbsolutePath("--file", path));
  return ParseJobYaml(text, absolute.parent_path().string(), overrides, path, model_of);
}

absl::StatusOr<JobSpec> ParseJobYaml(const std::string& text, const std::string& base_dir,
                                     const std::vector<std::string>& overrides,
                                     const std::string& name, const ModelOfFolder& model_of) {
  JobEntries entries;
  RETURN_IF_ERROR(entries.AddFile(text, name));
  for (const std::string& override : overrides) RETURN_IF_ERROR(entries.Override(override));
  RETURN_IF_ERROR(CheckOptionsOf(entries, name));
  JobSpec job;
  ASSIGN_OR_RETURN(const bool has_model, TakeModel(entries, model_of, job));
  for (const JobKey& key : JobKeys()) RETURN_IF_ERROR(Read(key, entries, name, has_model, job));
  // A model to start from, and not a job to go on with.
  if (has_model && entries.Find("checkpoint.from") == nullptr) {
    job.mutable_checkpoint()->set_weights_only(true);
  }
  RETURN_IF_ERROR(SetDerived(base_dir, job));
  RETURN_IF_ERROR(CheckPatternsOf(entries, job));
  return job;
}

std::string ToYaml(const JobSpec& job) {
  YAML::Node root(YAML::NodeType::Map);
  for (const JobKey& key : JobKeys()) {
    const absl::string_view section = OptionalSectionOf(key.path);
    if (!section.empty() && !HasSection(job, section)) continue;
    if (IsLeftOut(key, job)) continue;
    const std::vector<std::string> names = absl::StrSplit(key.path, '.');
    YAML::Node at = root;  // a handle, which reset() points elsewhere
    for (const std::string& name : names) at.reset(at[name]);
    at = AsYaml(key, job);
  }
  YAML::Emitter out;
  out << root;
  return absl::StrCat(out.c_str(), "\n");
}

}  // namespace waferstream
