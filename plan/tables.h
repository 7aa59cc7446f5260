// The part of a plan that does not depend on what fits where: parameters, tiles, leaves.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "plan/plan.h"

namespace waferstream {

// Micro-batches of a global batch. Planning takes time in their number.
inline constexpr uint32_t kLeavesMax = 1 << 16;
// The same of a validation. A wafer reports a dozen bytes of each, in one message.
inline constexpr int64_t kValidationLeavesMax = 1 << 18;

// A plan with job, shape, wire, parameters, tiles (shard and plane included), slot bytes, leaves
// and validation_leaves. A generation gets the training section that its one leaf of one sequence
// means. INVALID_ARGUMENT: as Compile.
absl::StatusOr<Plan> BuildTables(const JobSpec& job, const ClusterShape& shape);

}  // namespace waferstream
