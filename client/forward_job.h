// A job that makes no gradients: what a generation and an evaluation have in common.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "proto/job.pb.h"

namespace waferstream {

// A job in f32 from the checkpoint (an absolute path), with the model that it says it holds, for
// one node of each role; the caller adds what it is to do. INVALID_ARGUMENT: no such model.
absl::StatusOr<JobSpec> ForwardJob(const std::string& name, const std::string& checkpoint);

}  // namespace waferstream
