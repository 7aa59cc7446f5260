// Whatever happens to a cluster on virtual time, its job ends as if nothing had. One seed is one
// cluster, one order of events and its faults; `bazel run //sim:chaos -- --seed N` replays it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <set>
#include <string>

#include "base/mark.h"
#include "plan/family_names.h"
#include "sim/chaos_run.h"
#include "sim/regression_seeds.h"

namespace waferstream {
namespace {

ChaosResult Expect(uint64_t seed, bool with_faults) {
  const ChaosPlan plan = MakeChaosPlan(seed, with_faults);
  ChaosResult result = RunChaos(plan, nullptr);
  EXPECT_EQ(result.violation, "") << Describe(plan);
  return result;
}

// A block of seeds: the unit of sharding.
class ChaosSimTest : public testing::TestWithParam<int> {
 protected:
  static constexpr uint64_t kSeedsABlock = 25;
  uint64_t first() const { return 1 + static_cast<uint64_t>(GetParam()) * kSeedsABlock; }
};

TEST_P(ChaosSimTest, EveryJobEndsAsIfNothingHadHappened) {
  uint64_t done = 0;
  for (uint64_t seed = first(); seed < first() + kSeedsABlock; ++seed) {
    done += Expect(seed, true).state == "DONE";
  }
  EXPECT_GE(done, kSeedsABlock / 2);  // the allowed failures are the exception
}

INSTANTIATE_TEST_SUITE_P(, ChaosSimTest, testing::Range(0, 20));

TEST(ChaosRegressionTest, WhatWasFoundStaysFixed) {
  for (const RegressionSeed& regression : kRegressionSeeds) {
    SCOPED_TRACE(regression.found);
    Expect(regression.seed, true);
  }
}

TEST(ChaosPlanTest, EveryFamilyIsDrawn) {
  std::set<std::string> drawn;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    drawn.insert(MakeChaosPlan(seed, true).jobs[0].spec.model().family());
  }
  EXPECT_EQ(drawn.size(), FamilyNames().size());
}

TEST(ChaosFaultFreeTest, EveryClusterComputesTheSame) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    const ChaosResult result = Expect(seed, false);
    EXPECT_TRUE(result.state == "DONE" || result.faults.contains("(cancelled)")) << result.state;
    EXPECT_EQ(result.redone_steps, 0u);
    for (const auto& [kind, count] : result.faults) EXPECT_EQ(kind[0], '(') << kind << " " << count;
  }
}

// Where nothing else goes wrong, a process that is told to stop and has the time is not missed.
TEST(ChaosStopTest, WhoLeavesInOrderCostsNoStep) {
  int64_t left = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    ChaosPlan plan = MakeChaosPlan(seed, false);
    plan.workloads = {{FaultKind::kStopNode, 2 * plan.pace.lease_ns}};
    plan.faults_end_ns = 20 * plan.pace.lease_ns;
    plan.deadline_ns += plan.faults_end_ns;
    ChaosResult result = RunChaos(plan, nullptr);
    EXPECT_EQ(result.violation, "") << Describe(plan);
    if (result.faults.contains("(cut short)")) continue;
    EXPECT_EQ(result.redone_steps, 0u) << Describe(plan);
    left += result.faults["(left in order)"];
  }
  EXPECT_GT(left, 100);  // or this proves less than it seems to
}

// The rare branches of recovery.
constexpr const char* kRareBranches[] = {
    "verify: no wafer is left to check",
    "memoryx: an update that an epoch left due",
    "memoryx: adopted an unannounced commit",
    "memoryx: a copy whose update is due",
    "memoryx: a copy ahead of its commit",
    "memoryx: a fill went on where it was",
    "epoch: a peer closed its channel",
    "node: an admitted channel came after its epoch",
    "controller: gave a record up",
    "controller: went back to a checkpoint",
    "controller: a commit outlived its epoch",
    "controller: a missing copy was filled",
    "controller: members changed between two steps",
    "controller: stopped early",
    "controller: a copy was damaged or denied",
    "controller: a node was left out",
    "controller: waited for a node that holds a shard",
    "controller: a link was lost, and no node",
    "controller: was away, and excused its nodes",
    "controller: a liar was cordoned",
    "controller: a waiting job gave way to an older one",
    "controller: a node left a job that does not run",
    "node: its grace was over before it could leave",
    "wafer: flipped a bit",
    "memoryx: flipped a bit",
};

// What users do and see, by the names that ChaosResult.faults has for it.
constexpr const char* kUserActs[] = {"(amended)",          "(cancelled)",     "(generated)",
                                     "(jobs at one time)", "(left in order)", "(resumed)"};

bool AllRan(const std::map<std::string, int64_t>& seen) {
  return std::all_of(std::begin(kRareBranches), std::end(kRareBranches),
                     [](const char* mark) { return Marks::Count(mark) > 0; }) &&
         std::all_of(std::begin(kUserActs), std::end(kUserActs),
                     [&](const char* act) { return seen.contains(act); });
}

// They are reached, or the seeds above prove less than they seem to.
TEST(ChaosMarksTest, RareBranchesRun) {
  constexpr uint64_t kFirst = 501, kSeedsMax = 5000;
  std::map<std::string, int64_t> seen;
  for (uint64_t seed = kFirst; seed < kFirst + kSeedsMax && !AllRan(seen); ++seed) {
    seen.merge(Expect(seed, true).faults);
  }
  for (const char* mark : kRareBranches) EXPECT_GT(Marks::Count(mark), 0u) << mark;
  for (const char* act : kUserActs) EXPECT_TRUE(seen.contains(act)) << act;
}

TEST(ChaosDeterminismTest, OneSeedOneTrace) {
  std::string before;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const ChaosPlan plan = MakeChaosPlan(seed, true);
    const ChaosResult first = RunChaos(plan, nullptr);
    const ChaosResult second = RunChaos(plan, nullptr);
    EXPECT_EQ(first.trace_hash, second.trace_hash) << Describe(plan);
    EXPECT_EQ(first.events, second.events) << Describe(plan);
    EXPECT_NE(first.trace_hash, before) << Describe(plan);
    before = first.trace_hash;
  }
}

}  // namespace
}  // namespace waferstream
