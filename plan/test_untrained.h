// Plans of which any parameters are not trained, for tests, by number and not by name.
#pragma once

#include <functional>

#include "absl/status/statusor.h"
#include "base/status.h"
#include "plan/fit.h"
#include "plan/plan.h"
#include "plan/tables.h"
#include "plan/topology.h"

namespace waferstream {

// As Compile; trains the parameters of which `trains` says so, by index.
inline absl::StatusOr<Plan> CompileUntrained(const JobSpec& job, const ClusterShape& shape,
                                             const std::function<bool(size_t)>& trains) {
  ASSIGN_OR_RETURN(Plan plan, BuildTables(job, shape));
  for (size_t p = 0; p < plan.parameters.size(); ++p) {
    plan.parameters[p].trained = trains(p);
    if (!trains(p)) plan.parameters[p].contributions = 0;
  }
  RETURN_IF_ERROR(FitIntoSram(plan));
  BuildTrees(plan);
  return plan;
}

}  // namespace waferstream
