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
  std::string kernel_isa = {};  // that its wafers must have; empty: any
  // What it starts from, and what else the user should know of how it goes on; one line each.
  std::vector<std::string> notes = {};
};

}  // namespace waferstream
