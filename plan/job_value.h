// One value of a job file: from YAML into its field of JobSpec, and back into text.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "plan/job_keys.h"
#include "proto/job.pb.h"
#include "yaml-cpp/yaml.h"

namespace waferstream {

// INVALID_ARGUMENT, "<path>: ...": the wrong type or out of bounds.
absl::Status SetFromYaml(const JobKey& key, const YAML::Node& value, JobSpec& job);

// The default. A bad one is a bug in the list of keys.
absl::Status SetFallback(const JobKey& key, JobSpec& job);

// The field's value as YAML.
YAML::Node AsYaml(const JobKey& key, const JobSpec& job);

}  // namespace waferstream
