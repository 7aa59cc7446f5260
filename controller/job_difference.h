// How two jobs differ.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "proto/job.pb.h"

namespace waferstream {

// ALREADY_EXISTS, naming what differs: a request_id that stands for job `job_id`, which was handed
// in as `before`, comes again with another job.
absl::Status CheckSameRequest(const std::string& request_id, const std::string& job_id,
                              const JobSpec& before, const JobSpec& after);

// The first field that differs, with both values: "training.steps: 8 -> 9", one line. Empty: none.
std::string DifferenceOf(const JobSpec& before, const JobSpec& after);

}  // namespace waferstream
