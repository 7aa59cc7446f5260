// What a wafer really writes of its SRAM is what was planned, region by region, and a plan that is
// wrong is noticed. The peak that a wafer reports is no measure of that: it is what the plan
// claims.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "plan/test_job.h"
#include "wafer_node/fake_parent.h"
#include "wafer_node/sram_watch.h"

namespace waferstream {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr size_t kGuard = 16 << 10;
constexpr size_t kLine = 64;

struct Case {
  Precision precision = F32;
  Recompute recompute = RECOMPUTE_NONE;
  int wafers = 1;
  int experts = 0;  // more than a micro-batch has tokens for; 0: GPT-2
};

JobSpec JobOf(const Case& of) {
  JobSpec job = TestJob();
  job.mutable_training()->set_steps(2);
  job.mutable_training()->set_precision(of.precision);
  job.mutable_training()->set_recompute(of.recompute);
  job.mutable_data()->set_validation("validation.bin");
  job.mutable_training()->set_validate_every(1);
  job.mutable_cluster()->set_planes(2);
  if (of.experts == 0) return job;
  ModelSpec* model = job.mutable_model();
  model->set_family("mixtral");
  model->set_ffn(32);  // tiles as large as any, so that they fill the slots
  model->set_experts(of.experts);
  model->set_experts_per_token(2);
  model->set_router_aux_loss(0.1);
  return job;
}

Plan PlanOf(const JobSpec& job, int wafers) {
  auto plan = Compile(job, {.wafers = wafers, .memoryx = 1, .swarmx = 1});
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *std::move(plan);
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const Precision precision : {F32, BF16}) {
    for (const Recompute recompute : {RECOMPUTE_NONE, RECOMPUTE_SELECTIVE, RECOMPUTE_FULL}) {
      for (const int wafers : {1, 3}) cases.push_back({precision, recompute, wafers});
      cases.push_back({precision, recompute, 1, 40});
    }
  }
  return cases;
}

// A wafer of `plan` from its first to its last tile, as crowded as it gets.
struct WatchedRun {
  explicit WatchedRun(const Plan& plan)
      : weights(MakeWeights(plan, 1)),
        parent(plan, weights, {.gradient_slots = 100, .crowded = true}),
        watch(plan.sram, parent.sram()) {
    parent.Run();
    EXPECT_TRUE(parent.AllReturned());
  }
  const TestWeights weights;
  FakeParent parent;
  const SramWatch watch;
};

// Regions that are bounds: how much of them is used is a matter of the CPU's kernels (workspace,
// packed tile), or of how many small tiles or gradients happen to stand between two large ones.
bool IsBound(SramBuffer buffer) {
  return buffer == SramBuffer::kWorkspace || buffer == SramBuffer::kPackedTile ||
         buffer == SramBuffer::kReceiveSmall || buffer == SramBuffer::kStagingSmall;
}

// Of all regions but those; every part of every one is written to its last line.
std::vector<std::string> Idle(const SramLayout& layout, const SramWatch& watch) {
  std::vector<std::string> idle;
  for (const SramRegion& region : layout.regions) {
    if (IsBound(region.buffer)) continue;
    for (std::string& part : watch.Idle(region)) idle.push_back(std::move(part));
  }
  return idle;
}

TEST(SramUse, EveryPlannedRegionIsUsedAndNothingBetweenThem) {
  for (const Case& of : Cases()) {
    SCOPED_TRACE(absl::StrCat(of.precision, " ", of.recompute, " ", of.wafers, " ", of.experts));
    Plan plan = PlanOf(JobOf(of), of.wafers);
    plan.sram = WithGuards(plan.sram, kGuard);
    const WatchedRun run(plan);
    EXPECT_THAT(run.watch.Strays(), IsEmpty());
    EXPECT_THAT(Idle(plan.sram, run.watch), IsEmpty());
    for (const SramBuffer buffer :
         {SramBuffer::kWorkspace, SramBuffer::kReceiveSmall, SramBuffer::kStagingSmall}) {
      EXPECT_TRUE(run.watch.IsUsed(*plan.sram.Find(buffer))) << plan.sram.Find(buffer)->name;
    }
  }
}

TEST(SramUse, ThePeakOfWhatIsWrittenIsThePlannedPeak) {
  for (const Case& of : Cases()) {
    const Plan plan = PlanOf(JobOf(of), of.wafers);
    const WatchedRun run(plan);
    EXPECT_EQ(run.watch.PeakBytes(), plan.sram.bytes);
    EXPECT_EQ(run.parent.reports()[0].wafer_step().sram_peak_bytes(), plan.sram.bytes);
  }
}

TEST(SramUse, AMicroBatchThatIsCheckedHasItsRegionsToo) {
  JobSpec job = JobOf({});
  job.mutable_training()->set_verify(1);
  Plan plan = PlanOf(job, 2);
  ASSERT_GT(plan.verify_slots, 0);
  plan.sram = WithGuards(plan.sram, kGuard);
  const WatchedRun run(plan);
  EXPECT_THAT(run.watch.Strays(), IsEmpty());
  EXPECT_THAT(Idle(plan.sram, run.watch), IsEmpty());
}

TEST(SramUse, AGenerationStaysInItsRegions) {
  for (const Precision precision : {F32, BF16}) {
    JobSpec job = JobOf({.precision = precision});
    job.mutable_generate()->add_prompt(3);
    job.mutable_generate()->set_tokens(20);  // longer than the context
    Plan plan = PlanOf(job, 1);
    plan.sram = WithGuards(plan.sram, kGuard);
    const WatchedRun run(plan);
    EXPECT_THAT(run.watch.Strays(), IsEmpty());
  }
}

// The watch's pattern is what the arena holds before: other bits would mean that an op reads what
// nobody wrote.
TEST(SramUse, WhatTheSramHeldBeforeChangesNoBit) {
  for (const int experts : {0, 40}) {
    const Plan plan = PlanOf(JobOf({.precision = BF16, .experts = experts}), 1);
    const WatchedRun filled(plan);
    FakeParent zeroed(plan, filled.weights, {.gradient_slots = 100, .crowded = true});
    zeroed.Run();
    EXPECT_EQ(filled.parent.blocks(), zeroed.blocks());
  }
}

// ---- wrong plans -------------------------------------------------------------------------------

using Spoil = std::function<void(SramRegion&)>;

// For every region of a plan that is no bound, in turn: what the watch says once it is spoiled.
void ForEverySpoiled(const Spoil& spoil,
                     const std::function<void(const SramRegion&, const WatchedRun&)>& check) {
  for (const Precision precision : {F32, BF16}) {
    Plan plan = PlanOf(JobOf({.precision = precision}), 1);
    const SramLayout right = WithGuards(plan.sram, kGuard);
    for (size_t i = 0; i < right.regions.size(); ++i) {
      if (IsBound(right.regions[i].buffer)) continue;
      plan.sram = right;
      SramRegion& wrong = plan.sram.regions[i];
      SCOPED_TRACE(wrong.name);
      spoil(wrong);
      const SramRegion& last = plan.sram.regions.back();
      plan.sram.bytes = last.offset + last.bytes;
      check(wrong, WatchedRun(plan));
    }
  }
}

TEST(SramUse, ARegionPlannedALineTooSmallIsNoticed) {
  const Spoil shrink = [](SramRegion& region) { region.bytes -= kLine * region.count; };
  ForEverySpoiled(shrink, [](const SramRegion& wrong, const WatchedRun& run) {
    EXPECT_THAT(run.watch.Strays(), Contains(HasSubstr(wrong.name)));
  });
}

TEST(SramUse, ARegionPlannedALineTooLargeIsNoticed) {
  const Spoil grow = [](SramRegion& region) { region.bytes += kLine * region.count; };
  ForEverySpoiled(grow, [](const SramRegion& wrong, const WatchedRun& run) {
    EXPECT_EQ(run.watch.Idle(wrong).size(), wrong.count);
  });
}

TEST(SramUse, APartTooManyIsNoticed) {
  const Spoil add_part = [](SramRegion& region) {
    region.bytes += region.bytes / region.count;
    ++region.count;
  };
  ForEverySpoiled(add_part, [](const SramRegion& wrong, const WatchedRun& run) {
    // A crowded wafer fills what there is to send from, however much that is.
    if (wrong.buffer == SramBuffer::kStagingLarge) return;
    EXPECT_EQ(run.watch.Idle(wrong).size(), 1u);
  });
}

TEST(SramUse, RegionsThatOverlapAreNoticed) {
  Plan plan = PlanOf(JobOf({}), 1);
  for (size_t i = 1; i < plan.sram.regions.size(); ++i) {
    SramLayout wrong = plan.sram;
    wrong.regions[i].offset -= kLine;
    std::vector<std::byte> sram(wrong.bytes);
    const SramWatch watch(wrong, sram);
    EXPECT_THAT(watch.Strays(), Contains(HasSubstr(wrong.regions[i].name)));
  }
}

}  // namespace
}  // namespace waferstream
