#include "plan/fit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "plan/tables.h"
#include "plan/test_job.h"

namespace waferstream {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Plan Tables(const JobSpec& job, int wafers) {
  return *BuildTables(job, {.wafers = wafers, .memoryx = 1, .swarmx = 1});
}

JobSpec WithSram(JobSpec job, uint64_t bytes) {
  job.mutable_cluster()->mutable_wafer()->set_sram_bytes(bytes);
  return job;
}

Plan MustFit(const JobSpec& job, int wafers = 1) {
  Plan plan = Tables(job, wafers);
  const absl::Status status = FitIntoSram(plan);
  EXPECT_TRUE(status.ok()) << status;
  return plan;
}

std::string Refusal(const JobSpec& job, int wafers = 1) {
  Plan plan = Tables(job, wafers);
  const absl::Status status = FitIntoSram(plan);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  return std::string(status.message());
}

uint64_t NumberAfter(const std::string& text, const std::string& words) {
  const size_t at = text.find(words);
  EXPECT_NE(at, std::string::npos) << words << " is not in " << text;
  return at == std::string::npos ? 0 : std::stoull(text.substr(at + words.size()));
}

// What the job takes in SRAM without recomputation when a wave has at most so many micro-batches on
// a wafer, for every number that a wafer may get.
struct Choice {
  int waves;
  int resident;
  size_t bytes;
};
std::vector<Choice> Choices(const JobSpec& job, int wafers, int most) {
  Plan plan = Tables(job, wafers);
  SetPolicy(plan, {RECOMPUTE_NONE});
  std::vector<Choice> choices;
  for (int probe = 1; probe <= most; ++probe) {
    const auto up = [](int a, int b) { return a / b + (a % b != 0); };
    plan.waves = up(plan.leaves, wafers * probe);
    plan.resident_max = up(up(plan.leaves, plan.waves), wafers);
    choices.push_back({plan.waves, plan.resident_max, LayOutSram(plan).bytes});
  }
  return choices;
}

TEST(Fit, KeepsLogitsWhereThereIsRoomForThemBesideAllElse) {
  const JobSpec job = TestJob();
  const Plan kept = MustFit(job);
  ASSERT_TRUE(kept.policy.keeps_logits);
  EXPECT_EQ(kept.sram.Find(SramBuffer::kLogits)->bytes,
            kept.resident_max * kept.tokens() * job.model().vocab() * sizeof(float));
  EXPECT_TRUE(MustFit(WithSram(job, kept.sram.bytes)).policy.keeps_logits);
  // A byte less, and nothing else is another.
  const Plan made_again = MustFit(WithSram(job, kept.sram.bytes - 1));
  EXPECT_FALSE(made_again.policy.keeps_logits);
  EXPECT_EQ(made_again.sram.bytes, SramNeeded(kept));
  EXPECT_EQ(made_again.waves, kept.waves);
  EXPECT_EQ(made_again.policy.recompute, kept.policy.recompute);
  for (const Recompute asked : {RECOMPUTE_SELECTIVE, RECOMPUTE_FULL}) {
    JobSpec lean = job;
    lean.mutable_training()->set_recompute(asked);
    EXPECT_FALSE(MustFit(lean).policy.keeps_logits) << asked;
  }
}

TEST(Fit, TakesTheMostThatFitsToTheByte) {
  for (const auto& [batch, wafers] : std::vector<std::pair<int, int>>{{8, 1}, {13, 1}, {13, 2}}) {
    JobSpec job = TestJob();
    job.mutable_training()->set_global_batch(batch);
    job.mutable_training()->set_recompute(RECOMPUTE_NONE);
    const int share = (batch + wafers - 1) / wafers;
    const std::vector<Choice> choices = Choices(job, wafers, share);
    ASSERT_EQ(choices.back().waves, 1);
    for (const Choice& choice : choices) {
      SCOPED_TRACE(testing::Message() << batch << " on " << wafers << ": " << choice.resident);
      Plan plan = MustFit(WithSram(job, choice.bytes), wafers);
      EXPECT_EQ(plan.waves, choice.waves);
      EXPECT_EQ(plan.resident_max, choice.resident);
      EXPECT_EQ(plan.sram.bytes, choice.bytes);
      plan = Tables(WithSram(job, choice.bytes - 1), wafers);
      EXPECT_EQ(FitIntoSram(plan).ok(), choice.resident > 1);
      EXPECT_TRUE(choice.resident == 1 || plan.waves > choice.waves);
    }
  }
}

// 13 on 2 wafers, at most 3 on each: 3 waves, of 5, 4 and 4; so 3 on one of them.
TEST(Fit, AWaveIsAsLargeAsTheOthers) {
  JobSpec job = TestJob();
  job.mutable_training()->set_recompute(RECOMPUTE_NONE);
  for (const auto& [batch, probe, waves, resident] : std::vector<std::tuple<int, int, int, int>>{
           {13, 3, 3, 3}, {13, 6, 2, 4}, {8, 3, 2, 2}, {16, 3, 3, 3}}) {
    job.mutable_training()->set_global_batch(batch);
    const std::vector<Choice> choices = Choices(job, 2, probe);
    const Plan plan = MustFit(WithSram(job, choices.back().bytes), 2);
    EXPECT_EQ(plan.waves, waves) << batch << " " << probe;
    EXPECT_EQ(plan.resident_max, resident) << batch << " " << probe;
  }
  // There is room for 7 of 8, but two waves of 4 take no longer.
  job.mutable_training()->set_global_batch(8);
  const Plan plan = MustFit(WithSram(job, Choices(job, 1, 8).back().bytes - 1));
  EXPECT_EQ(plan.waves, 2);
  EXPECT_EQ(plan.resident_max, 4);
}

TEST(Fit, ValidationWavesFollowFromWhatIsResident) {
  JobSpec job = TestJob();
  job.mutable_data()->set_validation("v");
  job.mutable_data()->set_validation_sequences(33);
  job.mutable_training()->set_validate_every(1);
  EXPECT_EQ(MustFit(job, 1).validation_waves, 5) << "8 at a time";
  EXPECT_EQ(MustFit(job, 2).validation_waves, 5) << "4 on each of 2";
  EXPECT_EQ(MustFit(job, 3).validation_waves, 4) << "3 on each of 3";
  job.mutable_training()->set_validate_every(0);
  EXPECT_EQ(MustFit(job, 3).validation_waves, 0);
}

TEST(Fit, WhatIsAskedForIsTaken) {
  for (const Recompute asked : {RECOMPUTE_NONE, RECOMPUTE_SELECTIVE, RECOMPUTE_FULL}) {
    JobSpec job = TestJob();
    job.mutable_training()->set_recompute(asked);
    const Plan plan = MustFit(job);
    EXPECT_EQ(plan.policy.recompute, asked);
    // The program is that of the same decision.
    const Program program = BuildProgram(plan.graph, plan.parameters, plan.wire, {asked});
    EXPECT_EQ(plan.program.backward.size(), program.backward.size());
    EXPECT_EQ(plan.program.backward_stream, program.backward_stream);
  }
}

TEST(Fit, AutoEndsWithTheProgramOfItsChoice) {
  JobSpec job = TestJob();
  job.mutable_model()->set_layers(
      8);  // enough that recomputation pays, not so many that `none` never fits
  job.mutable_training()->set_recompute(RECOMPUTE_AUTO);
  // One wave fits only with selective recomputation; `none` fits as well, in more waves.
  JobSpec selective = job;
  selective.mutable_training()->set_recompute(RECOMPUTE_SELECTIVE);
  const Plan plan = MustFit(WithSram(job, SramNeeded(MustFit(selective))));
  EXPECT_EQ(plan.policy.recompute, RECOMPUTE_SELECTIVE);
  EXPECT_EQ(plan.waves, 1);
  // With none does a step get through in one wave, but `none` does it with the fewest additions.
  JobSpec full = job;
  full.mutable_training()->set_recompute(RECOMPUTE_FULL);
  const Plan twice = MustFit(WithSram(full, SramNeeded(MustFit(full)) - 1));
  EXPECT_FALSE(twice.policy.holds_weights);
  const Plan least = MustFit(WithSram(job, SramNeeded(twice) - 1));
  EXPECT_EQ(least.policy.recompute, RECOMPUTE_NONE);
  EXPECT_GT(least.waves, 1);
  const Program program = BuildProgram(least.graph, least.parameters, least.wire, {RECOMPUTE_NONE});
  EXPECT_EQ(least.program.backward.size(), program.backward.size());
}

TEST(Fit, AGenerationRecomputesNothing) {
  JobSpec job = TestJob();
  job.mutable_training()->set_recompute(RECOMPUTE_FULL);
  job.mutable_generate()->add_prompt(1);
  job.mutable_generate()->set_tokens(1);
  EXPECT_EQ(MustFit(job).policy.recompute, RECOMPUTE_NONE);
}

TEST(Fit, TheArithmeticOfARefusalAddsUp) {
  const std::string message = Refusal(WithSram(TestJob(), 1000));
  EXPECT_THAT(message, HasSubstr("cluster.wafer.sram: 1000 bytes"));
  const size_t from = message.find(" = ") + 3, to = message.find(';', from);
  uint64_t sum = 0;
  for (absl::string_view term : absl::StrSplit(message.substr(from, to - from), " + ")) {
    uint64_t bytes = 0;
    ASSERT_TRUE(absl::SimpleAtoi(term.substr(term.rfind(' ') + 1), &bytes)) << term;
    sum += bytes;
  }
  EXPECT_EQ(sum, NumberAfter(message, "it needs "));
  EXPECT_EQ(sum, NumberAfter(message, "cluster.wafer.sram at least "));
  EXPECT_THAT(message, Not(HasSubstr("verify")));
}

// Each remedy alone makes it fit, and a little less of it does not.
class Remedies : public testing::Test {
 protected:
  Remedies() {
    job_.mutable_model()->set_context(64);
    job_.mutable_training()->set_global_batch(24);
    job_.mutable_training()->set_micro_batch(12);
    job_.mutable_training()->set_tile_elements(4096);
    job_.mutable_training()->set_recompute(RECOMPUTE_NONE);
  }
  // What one resident micro-batch takes.
  uint64_t Needs(const JobSpec& job) { return Choices(job, 1, 1)[0].bytes; }
  JobSpec job_ = TestJob();
};

TEST_F(Remedies, TheLargestContextByHalves) {
  JobSpec half = job_;
  half.mutable_model()->set_context(32);
  EXPECT_EQ(NumberAfter(Refusal(WithSram(job_, Needs(half))), "model.context at most "), 32u);
  EXPECT_EQ(NumberAfter(Refusal(WithSram(job_, Needs(half) - 1)), "model.context at most "), 16u);
}

TEST_F(Remedies, TheLargestTileByHalves) {
  JobSpec smaller = job_;
  smaller.mutable_training()->set_tile_elements(2048);
  ASSERT_LT(Needs(smaller), Needs(job_));
  EXPECT_EQ(NumberAfter(Refusal(WithSram(job_, Needs(smaller))), "training.tile at most "), 2048u);
  EXPECT_EQ(NumberAfter(Refusal(WithSram(job_, Needs(smaller) - 1)), "training.tile at most "),
            1024u);
}

TEST_F(Remedies, TheLargestDivisorOfTheBatch) {
  JobSpec smaller = job_;
  for (const uint32_t micro : {8, 6, 4, 3}) {
    smaller.mutable_training()->set_micro_batch(micro);
    const std::string message = Refusal(WithSram(job_, Needs(smaller)));
    EXPECT_EQ(NumberAfter(message, "training.micro_batch at most "), micro);
  }
}

TEST_F(Remedies, NoVerificationWhereThereIsOne) {
  job_.mutable_training()->set_micro_batch(1);
  JobSpec verifies = job_;
  verifies.mutable_training()->set_verify(0.5);
  // One resident micro-batch on each of two wafers, and no room for the one to verify.
  job_.mutable_training()->set_global_batch(2);
  verifies.mutable_training()->set_global_batch(2);
  const uint64_t bytes = SramNeeded(MustFit(job_, 2));
  const std::string message = Refusal(WithSram(verifies, bytes), 2);
  EXPECT_THAT(message, HasSubstr("cannot hold one micro-batch and one to verify"));
  EXPECT_THAT(message, HasSubstr("or training.verify 0"));
  MustFit(WithSram(verifies, bytes), 1);
}

TEST_F(Remedies, HoldWithOneToVerifyBesideIt) {
  JobSpec smaller = job_;
  smaller.mutable_training()->set_micro_batch(6);
  JobSpec job = WithSram(job_, Needs(smaller));  // enough for one of 6, but not for two
  job.mutable_training()->set_verify(0.5);
  const uint64_t micro = NumberAfter(Refusal(job, 3), "training.micro_batch at most ");
  EXPECT_LT(micro, 6u);
  job.mutable_training()->set_micro_batch(static_cast<uint32_t>(micro));
  MustFit(job, 3);
}

TEST_F(Remedies, NothingThatWouldNotDo) {
  const std::string message = Refusal(WithSram(job_, 100));
  for (const char* remedy : {"micro_batch", "training.tile", "model.context", "verify", "auto"}) {
    EXPECT_THAT(message, Not(HasSubstr(std::string("or ") + remedy))) << remedy;
    EXPECT_THAT(message, Not(HasSubstr(std::string("or training.") + remedy))) << remedy;
  }
}

}  // namespace
}  // namespace waferstream
