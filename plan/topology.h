// The trees: which SwarmX node stands between which wafers and the MemoryX processes, and how much
// each end of a channel grants.
#pragma once

#include <vector>

#include "plan/canonical_sum.h"
#include "plan/plan.h"

namespace waferstream {

// Fills plan.tree_nodes and plan.channels (those that copy shards, too), windows included. Needs
// everything else of the plan.
void BuildTrees(Plan& plan);

// The blocks of one gradient that the subtree of `down` (a wafer or a SwarmX node) delivers upwards
// in a training wave, in order of lo; the same for every gradient of the wave. Empty when no wafer
// below has a micro-batch in it.
std::vector<BlockRange> BlocksFrom(const Plan& plan, const Endpoint& down, int wave);

// How many blocks of one gradient wait for a sibling at MemoryX at once, at the most, when the
// blocks of every wave arrive in order: 1 for one wave, about log2(waves) for more.
int BuffersPerGradient(const Plan& plan);

}  // namespace waferstream
