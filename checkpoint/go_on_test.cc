#include "checkpoint/go_on.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/match.h"
#include "base/version.h"
#include "plan/dependencies.h"
#include "plan/kernel_order.h"
#include "plan/test_job.h"

namespace waferstream {
namespace {

Manifest Before() {
  Manifest manifest;
  manifest.steps_done = 3;
  manifest.job = TestJob();
  manifest.job.mutable_data()->add_train_content()->set_xxh3_128("0123");
  manifest.kernel_isa = "avx2/AVX2";
  manifest.numerics = Numerics();
  return manifest;
}

JobSpec Same() {
  JobSpec job = Before().job;
  job.mutable_checkpoint()->set_from("/c/step-000003");
  return job;
}

std::string RefusalOf(const JobSpec& job, const Manifest& manifest,
                      const std::string& kernel_isa = "") {
  const absl::Status refused = GoOnFrom(job, manifest, kernel_isa).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << refused;
  EXPECT_FALSE(absl::StrContains(refused.message(), "\n"));
  return std::string(refused.message());
}

TEST(GoOn, TheSameJobGoesOnWithTheSameInstructionSet) {
  const auto same = GoOnFrom(Same(), Before());
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_EQ(same->kernel_isa, "avx2/AVX2");
  EXPECT_TRUE(same->notes.empty());
  EXPECT_EQ(same->job.SerializeAsString(), Same().SerializeAsString());
}

TEST(GoOn, WhatDiffersIsRefusedByNameUnlessAccepted) {
  JobSpec job = Same();
  job.mutable_training()->set_clip(2);
  job.mutable_training()->set_tile_elements(99);
  const std::string message = RefusalOf(job, Before());
  EXPECT_TRUE(absl::StartsWith(message, "checkpoint.from: /c/step-000003 ")) << message;
  EXPECT_TRUE(absl::StrContains(message, "training.clip was 1 and is 2; ")) << message;
  EXPECT_TRUE(absl::StrContains(message, "training.tile was 1024 and is 99; ")) << message;
  EXPECT_TRUE(absl::StrContains(message, "--accept training.clip --accept training.tile"))
      << message;

  job.mutable_checkpoint()->add_accept("training.clip");
  EXPECT_FALSE(absl::StrContains(RefusalOf(job, Before()), "training.clip was"));
  job.mutable_checkpoint()->add_accept("training.tile");
  const auto accepted = GoOnFrom(job, Before());
  ASSERT_TRUE(accepted.ok()) << accepted.status();
  ASSERT_EQ(accepted->job.checkpoint().accepted_size(), 2);
  EXPECT_EQ(accepted->notes.size(), 2u);
  const AcceptedDifference& first = accepted->job.checkpoint().accepted(0);
  EXPECT_EQ(first.from_step(), 3u);
  EXPECT_EQ(first.key() + " " + first.was() + " " + first.is(), "training.clip 1 2");

  // A controller that is restarted admits it again; and who goes on from there inherits the record.
  EXPECT_EQ(GoOnFrom(accepted->job, Before())->job.SerializeAsString(),
            accepted->job.SerializeAsString());
  Manifest later = Before();
  later.steps_done = 5;
  later.job = accepted->job;
  JobSpec next = accepted->job;
  next.mutable_checkpoint()->clear_accept();
  next.mutable_checkpoint()->clear_accepted();
  EXPECT_EQ(GoOnFrom(next, later)->job.checkpoint().accepted_size(), 2);
}

TEST(GoOn, AnotherInstructionSetOrOtherNumericsAreADifference) {
  const std::string message = RefusalOf(Same(), Before(), "avx512_core/AVX3");
  EXPECT_TRUE(absl::StrContains(message, "kernel_isa was avx2/AVX2 and is avx512_core/AVX3"))
      << message;
  Manifest older = Before();
  older.numerics = 99;
  EXPECT_TRUE(absl::StrContains(RefusalOf(Same(), older), "numerics was 99 and is"));
  JobSpec job = Same();
  job.mutable_checkpoint()->add_accept("kernel_isa");
  job.mutable_checkpoint()->add_accept("numerics");
  const auto any = GoOnFrom(job, older);
  ASSERT_TRUE(any.ok()) << any.status();
  EXPECT_EQ(any->kernel_isa, "") << "any will do";
  EXPECT_EQ(any->job.checkpoint().accepted_size(), 2);
}

TEST(GoOn, OfAPortableJobTheCpusDoNotCount) {
  Manifest before = Before();
  before.job.mutable_training()->set_kernels(KERNELS_PORTABLE);
  before.kernel_isa = kPortableKernels;
  JobSpec job = Same();
  job.mutable_training()->set_kernels(KERNELS_PORTABLE);
  const auto same = GoOnFrom(job, before, "f32:avx2 bf16:avx2 simd:avx2");
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_EQ(same->kernel_isa, kPortableKernels);
}

TEST(GoOn, FromOneOrderOfAdditionsToTheOtherIsOneDifference) {
  JobSpec portable = Same();
  portable.mutable_training()->set_kernels(KERNELS_PORTABLE);
  EXPECT_TRUE(absl::StrContains(RefusalOf(portable, Before()),
                                "training.kernels was native and is portable; `--accept"));
  portable.mutable_checkpoint()->add_accept("training.kernels");
  EXPECT_EQ(GoOnFrom(portable, Before())->kernel_isa, kPortableKernels);

  Manifest before = Before();
  before.job.mutable_training()->set_kernels(KERNELS_PORTABLE);
  before.kernel_isa = kPortableKernels;
  JobSpec native = Same();
  native.mutable_checkpoint()->add_accept("training.kernels");
  EXPECT_EQ(GoOnFrom(native, before)->kernel_isa, "") << "any will do";
}

TEST(GoOn, AnotherBuildOfTheSameNumericsIsNone) {
  Manifest older = Before();
  older.build = "0.0.1";
  const auto same = GoOnFrom(Same(), older);
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_TRUE(same->notes.empty());
}

TEST(GoOn, AmendmentsAreTakenOver) {
  Manifest manifest = Before();
  Amendment* amendment = manifest.job.mutable_training()->add_amendments();
  amendment->set_from_step(2);
  amendment->set_lr(0.5);
  amendment->set_skip_batch(true);
  const auto same = GoOnFrom(Same(), manifest);
  ASSERT_TRUE(same.ok()) << same.status();
  ASSERT_EQ(same->job.training().amendments_size(), 1);
  EXPECT_EQ(same->job.training().amendments(0).lr(), 0.5);
  EXPECT_EQ(GoOnFrom(same->job, manifest)->job.training().amendments_size(), 1);

  // A learning rate that somebody asks for now counts for more than that of a pause then.
  JobSpec job = Same();
  job.mutable_training()->mutable_optimizer()->mutable_adamw()->set_lr(0.25);
  job.mutable_checkpoint()->add_accept("training.optimizer.adamw.lr");
  const auto changed = GoOnFrom(job, manifest);
  ASSERT_TRUE(changed.ok()) << changed.status();
  ASSERT_EQ(changed->job.training().amendments_size(), 1);
  EXPECT_EQ(changed->job.training().amendments(0).lr(), 0);
  EXPECT_TRUE(changed->job.training().amendments(0).skip_batch());
}

TEST(GoOn, AnEarlierVersionsCheckpointIsTakenWithANote) {
  Manifest manifest = Before();
  manifest.job.mutable_data()->clear_train_content();
  manifest.kernel_isa.clear();
  const auto unchecked = GoOnFrom(Same(), manifest);
  ASSERT_TRUE(unchecked.ok()) << unchecked.status();
  ASSERT_EQ(unchecked->notes.size(), 1u);
  EXPECT_TRUE(absl::StrContains(unchecked->notes[0], "data.train, kernel_isa"))
      << unchecked->notes[0];
}

TEST(GoOn, AfterNoStepsThereIsNothingToGoOnWith) {
  Manifest initial = Before();
  initial.steps_done = 0;
  initial.kernel_isa.clear();
  JobSpec job = Same();
  job.mutable_training()->set_clip(2);
  job.mutable_training()->set_seed(9);
  const auto fresh = GoOnFrom(job, initial);
  ASSERT_TRUE(fresh.ok()) << fresh.status();
  EXPECT_TRUE(fresh->notes.empty());
  EXPECT_EQ(fresh->job.SerializeAsString(), job.SerializeAsString());
}

TEST(GoOn, AKeyThatNothingDependsOnCannotBeAccepted) {
  JobSpec job = Same();
  job.mutable_checkpoint()->add_accept("training.verify");
  EXPECT_TRUE(absl::StartsWith(RefusalOf(job, Before()), "checkpoint.accept: \"training.verify\""));
}

}  // namespace
}  // namespace waferstream
