// The gradient's sums of squares, by shard: what MemoryX reports of a step and the controller adds
// up to the norm. Nothing is rounded on the way, so a norm has the same bits however many shards
// there are.
#pragma once

#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "base/exact_sum.h"
#include "plan/plan.h"
#include "proto/node.pb.h"

namespace waferstream {

// Of the shards that have any of these tiles, by number. square_sums[i] is that of tiles[i]'s
// gradient; one that is not finite is named instead of added.
std::vector<ShardSquares> SquaresByShard(const Plan& plan, std::span<const int> tiles,
                                         std::span<const double> square_sums);

// INVALID_ARGUMENT: it cannot be true.
absl::StatusOr<ExactSum> SumOf(const ShardSquares& squares);

}  // namespace waferstream
