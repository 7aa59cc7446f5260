#include "plan/verify.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "base/mark.h"
#include "plan/test_job.h"

namespace waferstream {
namespace {

JobSpec Job(int leaves, double verify, uint64_t seed = 1) {
  JobSpec job = TestJob();
  job.mutable_training()->set_global_batch(leaves);
  job.mutable_training()->set_verify(verify);
  job.mutable_training()->set_seed(seed);
  job.mutable_training()->set_recompute(RECOMPUTE_NONE);
  return job;
}

Plan MustCompile(const JobSpec& job, int wafers) {
  auto plan = Compile(job, {.wafers = wafers, .memoryx = 1, .swarmx = 1});
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *std::move(plan);
}

Plan MustCompile(int leaves, int wafers, double verify, uint64_t seed = 1) {
  return MustCompile(Job(leaves, verify, seed), wafers);
}

// With SRAM for one resident micro-batch only: as many waves as there can be.
Plan InManyWaves(int leaves, int wafers, double verify) {
  JobSpec job = Job(leaves, verify);
  job.mutable_cluster()->mutable_wafer()->set_sram_bytes(
      SramNeeded(MustCompile(wafers, wafers, verify)));
  return MustCompile(job, wafers);
}

int OwnerOf(const Plan& plan, int wave, int leaf) {
  for (int wafer = 0; wafer < plan.shape.wafers; ++wafer) {
    const LeafSpan own = plan.TrainingLeaves(wave, wafer);
    if (own.first <= leaf && leaf < own.first + own.count) return wafer;
  }
  return -1;
}

TEST(Verify, AWaferChecksAtMostOneMicroBatchAWaveAndNeverItsOwn) {
  for (const int leaves : {1, 5, 8, 13}) {
    for (const int wafers : {2, 3, 7}) {
      for (const double verify : {0.05, 0.5, 1.0}) {
        const Plan plan = InManyWaves(leaves, wafers, verify);
        for (uint64_t step = 0; step < 20; ++step) {
          for (int wave = 0; wave < plan.waves; ++wave) {
            std::set<int> checkers, checked;
            for (const Check& check : ChecksOf(plan, step, wave)) {
              EXPECT_EQ(check.owner, OwnerOf(plan, wave, check.leaf));
              EXPECT_NE(check.checker, check.owner);
              EXPECT_TRUE(checkers.insert(check.checker).second);
              EXPECT_TRUE(checked.insert(check.leaf).second);
            }
          }
        }
      }
    }
  }
}

TEST(Verify, NoneWithoutAnotherWaferOrWhenNotAskedFor) {
  EXPECT_EQ(MustCompile(8, 1, 1.0).verify_slots, 0);
  EXPECT_EQ(MustCompile(8, 4, 0.0).verify_slots, 0);
  EXPECT_TRUE(ChecksOf(MustCompile(8, 1, 1.0), 0, 0).empty());
  EXPECT_TRUE(ChecksOf(MustCompile(8, 1, 1.0), 0, 0, {3}).empty());
  EXPECT_TRUE(ChecksOf(MustCompile(8, 4, 0.0), 0, 0).empty());
}

TEST(Verify, EverythingIsVerifiedWhenAskedForAndThereIsACheckerForEach) {
  const Plan plan = MustCompile(4, 4, 1.0);
  for (uint64_t step = 0; step < 10; ++step) {
    std::set<int> checked;
    for (const Check& check : ChecksOf(plan, step, 0)) {
      checked.insert(check.leaf);
      EXPECT_EQ(check.checker, (check.owner + 1) % 4);
    }
    EXPECT_EQ(checked, (std::set<int>{0, 1, 2, 3}));
  }
  EXPECT_EQ(VerifiedShare(plan), 1);
}

TEST(Verify, TheShareIsWhatWasAskedFor) {
  const Plan plan = MustCompile(8, 8, 0.05);
  constexpr int kSteps = 5000;
  int checks = 0;
  for (uint64_t step = 0; step < kSteps; ++step) {
    checks += static_cast<int>(ChecksOf(plan, step, 0).size());
  }
  const double n = 8.0 * kSteps;
  // Binomial: five standard deviations.
  EXPECT_NEAR(checks, 0.05 * n, 5 * std::sqrt(n * 0.05 * 0.95));
}

TEST(Verify, WithMoreSamplesThanCheckersEveryWaferIsStillLookedAtAlike) {
  const Plan plan = MustCompile(16, 4, 1.0);
  ASSERT_EQ(plan.resident_max, 4);
  EXPECT_EQ(VerifiedShare(plan), 0.25);
  const uint64_t late = Marks::Count("verify: the next wafer checks already");
  const uint64_t none = Marks::Count("verify: no wafer is left to check");
  std::map<int, int> of_owner, by_checker;
  constexpr int kSteps = 1000;
  for (uint64_t step = 0; step < kSteps; ++step) {
    for (const Check& check : ChecksOf(plan, step, 0)) {
      ++of_owner[check.owner];
      ++by_checker[check.checker];
    }
  }
  for (int wafer = 0; wafer < 4; ++wafer) {
    EXPECT_NEAR(of_owner[wafer], kSteps, 0.1 * kSteps) << wafer;
    EXPECT_GT(by_checker[wafer], 0.95 * kSteps) << wafer;
  }
  EXPECT_GT(Marks::Count("verify: the next wafer checks already"), late);
  EXPECT_GT(Marks::Count("verify: no wafer is left to check"), none);
}

TEST(Verify, ChanceDependsOnSeedAndStepOnly) {
  const auto leaves = [](const Plan& plan, uint64_t step) {
    std::set<int> checked;
    for (int wave = 0; wave < plan.waves; ++wave) {
      for (const Check& check : ChecksOf(plan, step, wave)) checked.insert(check.leaf);
    }
    return checked;
  };
  // Few enough samples that there is a checker for each: then the same on any cluster.
  int equal_steps = 0;
  for (uint64_t step = 0; step < 50; ++step) {
    const auto expected = leaves(MustCompile(16, 16, 0.05), step);
    EXPECT_EQ(leaves(MustCompile(16, 8, 0.05), step), expected);
    equal_steps += leaves(MustCompile(16, 16, 0.05, /*seed=*/2), step) == expected;
  }
  EXPECT_LT(equal_steps, 50);
}

TEST(Verify, ADisputedMicroBatchIsCheckedByEveryOtherWaferInItsWave) {
  const Plan plan = InManyWaves(9, 3, 0.05);
  ASSERT_EQ(plan.waves, 3);
  for (int wave = 0; wave < 3; ++wave) {
    const LeafSpan of_wafer_1 = plan.TrainingLeaves(wave, 1);
    const int leaf = of_wafer_1.first;
    const std::vector<uint32_t> disputed = {static_cast<uint32_t>(leaf)};
    EXPECT_EQ(ChecksOf(plan, 7, wave, disputed), (std::vector<Check>{{leaf, 1, 0}, {leaf, 1, 2}}));
    // Of several in one wave the first counts.
    const uint32_t later = plan.TrainingLeaves(wave, 2).first;
    EXPECT_EQ(ChecksOf(plan, 7, wave, {later, disputed[0]}), ChecksOf(plan, 7, wave, disputed));
    // Other waves sample as ever.
    const int other = (wave + 1) % 3;
    EXPECT_EQ(ChecksOf(plan, 7, other, disputed), ChecksOf(plan, 7, other));
  }
}

// A verify slot costs what a resident micro-batch costs, and a staging buffer of every gradient.
TEST(Verify, TheSramHasRoomForOneMoreMicroBatch) {
  const Plan with = MustCompile(8, 2, 0.05);
  const Plan without = MustCompile(8, 2, 0);
  ASSERT_EQ(with.resident_max, 4);
  ASSERT_EQ(without.resident_max, 4);
  for (const SramRegion& region : with.sram.regions) {
    const size_t before = without.sram.Find(region.buffer, region.plane)->count;
    switch (region.buffer) {
      case SramBuffer::kWorkspace:
      case SramBuffer::kPackedTile:
      case SramBuffer::kReceiveSmall:
      case SramBuffer::kReceiveLarge:
        EXPECT_EQ(region.count, before) << region.name;
        break;
      case SramBuffer::kStagingSmall:
        EXPECT_EQ(region.count, before + 2) << region.name;  // a norm: gain and bias
        break;
      case SramBuffer::kStagingLarge:
        EXPECT_EQ(region.count, before + 1) << region.name;
        break;
      default:
        EXPECT_EQ(4 * region.count, 5 * before) << region.name;
    }
  }
  EXPECT_NE(with.Hash(), without.Hash());
}

}  // namespace
}  // namespace waferstream
