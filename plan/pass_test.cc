#include "plan/pass.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "plan/test_job.h"

namespace waferstream {
namespace {

// "F0.1" is the forward pass of step 0, wave 1; '!' marks passes that wait for a commit.
std::string Walk(const Plan& plan, uint64_t start_step) {
  std::string text;
  for (auto pass = FirstPass(plan, start_step); pass.has_value(); pass = NextPass(plan, *pass)) {
    const char kind = "FBVG"[static_cast<int>(pass->kind)];
    absl::StrAppend(&text, text.empty() ? "" : " ", WaitsForCommit(*pass) ? "!" : "",
                    std::string(1, kind), pass->step, ".", pass->wave);
  }
  return text;
}

Plan TrainingPlan() {
  Plan plan;
  plan.job = TestJob();
  plan.job.mutable_training()->set_steps(3);
  plan.waves = 2;
  return plan;
}

TEST(Pass, EveryWaveGoesForwardAndBackward) {
  EXPECT_EQ(Walk(TrainingPlan(), 0),
            "F0.0 B0.0 F0.1 B0.1 !F1.0 B1.0 F1.1 B1.1 !F2.0 B2.0 F2.1 B2.1");
}

TEST(Pass, ValidationFollowsTheStepsItIsDueAfter) {
  Plan plan = TrainingPlan();
  plan.waves = 1;
  plan.validation_waves = 2;
  plan.job.mutable_training()->set_validate_every(2);
  plan.job.mutable_data()->set_validation("val.bin");
  EXPECT_EQ(Walk(plan, 0), "F0.0 B0.0 !F1.0 B1.0 !V1.0 V1.1 !F2.0 B2.0 !V2.0 V2.1");
  // Whoever starts where one is due takes it first.
  EXPECT_EQ(Walk(plan, 2), "!V1.0 V1.1 !F2.0 B2.0 !V2.0 V2.1");
  EXPECT_EQ(Walk(plan, 3), "!V2.0 V2.1");
}

TEST(Pass, AJobResumesAtItsFirstUndoneStep) {
  EXPECT_EQ(Walk(TrainingPlan(), 2), "!F2.0 B2.0 F2.1 B2.1");
  EXPECT_EQ(Walk(TrainingPlan(), 3), "");
  EXPECT_EQ(Walk(TrainingPlan(), 9), "");
}

TEST(Pass, AnEvaluationIsOneValidation) {
  Plan plan = TrainingPlan();
  plan.validation_waves = 2;
  plan.job.mutable_training()->set_steps(0);
  plan.job.mutable_data()->set_validation("val.bin");
  EXPECT_EQ(Walk(plan, 0), "!V0.0 V0.1");
}

TEST(Pass, AGenerationIsOneForwardPassAToken) {
  Plan plan;
  plan.job = TestJob();
  plan.job.mutable_generate()->set_tokens(3);
  EXPECT_EQ(Walk(plan, 0), "G0.0 G1.0 G2.0");
}

TEST(Pass, OnlyTheBackwardHasAStreamOfItsOwn) {
  Plan plan;
  plan.program.forward_stream = {1};
  plan.program.backward_stream = {2};
  EXPECT_EQ(StreamOf(plan, PassKind::kForward), std::vector<int>{1});
  EXPECT_EQ(StreamOf(plan, PassKind::kBackward), std::vector<int>{2});
  EXPECT_EQ(StreamOf(plan, PassKind::kValidation), std::vector<int>{1});
  EXPECT_EQ(StreamOf(plan, PassKind::kGenerate), std::vector<int>{1});
}

}  // namespace
}  // namespace waferstream
