// A job that can run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plan/plan.h"

namespace waferstream {

// Its plan on the cluster that it asks for, and the steps that its first checkpoint (if any)
// already has.
struct AdmittedJob {
  Plan plan;
  uint64_t start_step = 0;
  std::string kernel_isa = {};          // that its wafers must have; empty: any
  std::vector<std::string> notes = {};  // what the user should know of how it goes on
};

}  // namespace waferstream
