// Whatever happens to a cluster on virtual time, its job ends as if nothing had. One seed is one
// cluster, one order of events and its faults; `bazel run //sim:chaos -- --seed N` replays it.
#include <gtest/gtest.h>

#include <cstdint>

#include "sim/chaos_run.h"

namespace waferstream {
namespace {

TEST(ChaosSimTest, OneSeedOneTrace) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const ChaosPlan plan = MakeChaosPlan(seed, true);
    const ChaosResult first = RunChaos(plan, nullptr);
    const ChaosResult second = RunChaos(plan, nullptr);
    EXPECT_EQ(first.trace_hash, second.trace_hash) << Describe(plan);
    EXPECT_EQ(first.events, second.events) << Describe(plan);
    EXPECT_EQ(first.violation, second.violation) << Describe(plan);
  }
}

}  // namespace
}  // namespace waferstream
