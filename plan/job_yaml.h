// The job file: YAML <-> JobSpec, by the list in plan/job_keys.h. Whatever the file says must be
// known, of the right type and within its bounds; whatever it leaves out gets its default.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/job.pb.h"

namespace waferstream {

// `model.from: FOLDER` takes what the job does not say of its model from a checkpoint, and starts
// at step 0 from its weights, unless checkpoint.from names another to start from or go on with.
// Reads the model of such a folder.
using ModelOfFolder = std::function<absl::StatusOr<ModelSpec>(const std::string& folder)>;

// Reads a job file. Every override is "key.path=value" with a YAML value, and replaces what the
// file says at and below that path. Relative data paths are relative to the file's folder;
// checkpoint.dir and checkpoint.from stay as given. NOT_FOUND: no such file. RESOURCE_EXHAUSTED: it
// has more than a MiB. INVALID_ARGUMENT: one line, "job.yaml:7: training.micro_bach: unknown key;
// did you mean micro_batch?"; for an override "--set" stands in place of file and line.
// Without `model_of` model.from is refused.
absl::StatusOr<JobSpec> ReadJobFile(const std::string& path,
                                    const std::vector<std::string>& overrides,
                                    const ModelOfFolder& model_of = nullptr);

// The same of a text. `base_dir` is what data paths are relative to, `name` what messages call the
// text.
absl::StatusOr<JobSpec> ParseJobYaml(const std::string& text, const std::string& base_dir,
                                     const std::vector<std::string>& overrides,
                                     const std::string& name = "job.yaml",
                                     const ModelOfFolder& model_of = nullptr);

// A job file that reads back as exactly this job. The job is a training job with every field set.
std::string ToYaml(const JobSpec& job);

}  // namespace waferstream
