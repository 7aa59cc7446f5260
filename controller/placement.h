// Which nodes a job gets: all it asks for, at once, or none (gang placement).
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controller/node_table.h"
#include "plan/plan.h"

namespace waferstream {

// One process of the plan and the node it runs on.
struct PlacedProcess {
  Role role = MEMORYX;
  int index = 0;  // process index of the role in the plan
  std::string node_id;
};

// Exactly the shape's count of free nodes of every role, in the order MemoryX, SwarmX, wafers.
// All wafers compute with one kernel_isa, because the job's numbers depend on it; of several that
// would do, the one with the most free nodes is taken. Deterministic in the table.
// UNAVAILABLE: the reason to wait, e.g. "waiting for 2 more wafer nodes".
absl::StatusOr<std::vector<PlacedProcess>> Place(const ClusterShape& shape, const NodeTable& nodes);

}  // namespace waferstream
