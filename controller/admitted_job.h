// A job that can run.
#pragma once

#include <cstdint>

#include "plan/plan.h"

namespace waferstream {

// Its plan on the cluster that it asks for, and the steps that its first checkpoint (if any)
// already has.
struct AdmittedJob {
  Plan plan;
  uint64_t start_step = 0;
};

}  // namespace waferstream
