// Compile(): job + cluster -> plan, in the order in which the tables depend on one another.
#include "base/status.h"
#include "plan/fit.h"
#include "plan/plan.h"
#include "plan/tables.h"
#include "plan/topology.h"

namespace waferstream {

absl::StatusOr<Plan> Compile(const JobSpec& job, const ClusterShape& shape) {
  ASSIGN_OR_RETURN(Plan plan, BuildTables(job, shape));
  RETURN_IF_ERROR(FitIntoSram(plan));
  BuildTrees(plan);
  return plan;
}

}  // namespace waferstream
