// A job that can run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plan/plan.h"

namespace waferstream {

struct AdmittedJob {
  Plan plan;                // on the cluster that it asks for
  uint64_t start_step = 0;  // steps that its first checkpoint (if any) already has
  JobSpec submitted = {};   // as the user handed it in
  // The jobs that it goes on from (JobStatus.ancestors).
  std::vector<std::string> ancestors = {};
  std::string origin = {};  // what it starts from, one line; empty: from nothing
};

}  // namespace waferstream
