// One hash of what a job may have beside AdamW on everything to its last step: other optimizers and
// schedules, frozen tensors, an early stop. And: it resumes, copies and keeps what is its best.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <tuple>
#include <vector>

#include "tests/clusters.h"
#include "tests/small_job.h"

namespace waferstream {
namespace {

TrainingSpec* Plain(JobSpec& job) {
  job.mutable_training()->clear_schedule();
  return job.mutable_training();
}

JobSpec WithLion(JobSpec job) {
  Lion* lion = Plain(job)->mutable_optimizer()->mutable_lion();
  lion->set_lr(2e-3);
  lion->set_beta1(0.9);
  lion->set_beta2(0.99);
  lion->set_weight_decay(0.1);
  Linear* linear = job.mutable_training()->mutable_schedule()->mutable_linear();
  linear->set_warmup(1);
  linear->set_min_lr(1e-4);
  return job;
}

// The largest matrices are of 96 x 24.
JobSpec WithAdafactor(JobSpec job) {
  Adafactor* adafactor = Plain(job)->mutable_optimizer()->mutable_adafactor();
  adafactor->set_lr(5e-2);
  adafactor->set_beta2_decay(-0.8);
  adafactor->set_eps(1e-3);
  adafactor->set_clip_threshold(1);
  adafactor->set_weight_decay(0.01);
  job.mutable_training()->set_tile_elements(2304);
  return job;
}

JobSpec WithMuon(JobSpec job) {
  Muon* muon = Plain(job)->mutable_optimizer()->mutable_muon();
  muon->set_lr(2e-2);
  muon->set_momentum(0.95);
  muon->set_weight_decay(0.1);
  AdamW* rest = muon->mutable_rest();
  rest->set_lr(1e-2);
  rest->set_beta1(0.9);
  rest->set_beta2(0.95);
  rest->set_eps(1e-8);
  rest->set_weight_decay(0.1);
  Wsd* wsd = job.mutable_training()->mutable_schedule()->mutable_wsd();
  wsd->set_warmup(1);
  wsd->set_decay(1);
  job.mutable_training()->set_tile_elements(2304);
  return job;
}

JobSpec PartlyFrozen(JobSpec job) {
  TrainingSpec* training = Plain(job);
  training->add_freeze("h.0.*");
  training->add_freeze("wpe.weight");
  training->add_no_decay("wte.weight");
  training->mutable_rewarm()->set_from(1);
  training->mutable_rewarm()->set_steps(3);
  return job;
}

struct Variant {
  const char* name;
  std::function<JobSpec(JobSpec)> of;
};

class OptimizerHashTest : public testing::TestWithParam<std::tuple<Variant, Precision>> {
 protected:
  JobSpec Job() const {
    JobSpec job = SmallJob(5);
    job.mutable_training()->set_precision(std::get<1>(GetParam()));
    return std::get<0>(GetParam()).of(job);
  }
};

TEST_P(OptimizerHashTest, OnAnyCluster) {
  const Numbers expected = Plainest(Job());
  ASSERT_EQ(expected.losses.size(), 3u);
  ASSERT_LT(expected.losses[2], expected.losses[0]);
  uint64_t seed = 500;
  for (const int wafers : {1, 3}) {
    for (const int memoryx : {1, 3}) {
      const Cluster c = {wafers, 2, memoryx, 2, 2, RECOMPUTE_SELECTIVE};
      ExpectSame(expected, On(c, Job()), c, ++seed);
    }
  }
  const Cluster tight = {2, 2, 1, 1, 1, RECOMPUTE_FULL};
  ExpectSame(expected, WithLeastSram(On(tight, Job()), {2, 1, 1}), tight, ++seed);
  JobSpec twice = Job();
  twice.mutable_cluster()->set_memoryx(3);
  twice.mutable_cluster()->set_replicas(2);
  const Cluster copies = {2, 2, 3, 1, 1, RECOMPUTE_NONE};
  ExpectSame(expected, On(copies, twice), copies, ++seed);
}

TEST_P(OptimizerHashTest, GoesOnFromACheckpoint) {
  JobSpec job = Job();
  job.mutable_checkpoint()->set_every(1);
  job.mutable_checkpoint()->set_keep(3);
  job.mutable_checkpoint()->set_dir(EmptyFolder("whole"));
  const auto whole = RunInproc(job, {.shape = {2, 2, 1}});
  ASSERT_TRUE(whole.ok()) << whole.status();
  JobSpec rest = job;
  rest.mutable_checkpoint()->set_from(job.checkpoint().dir() + "/step-000002");
  const InprocResult resumed = RunSmallJob(rest, {.shape = {1, 3, 1}});
  EXPECT_EQ(resumed.weights_hash, whole->weights_hash);
  EXPECT_EQ(resumed.optimizer_hash, whole->optimizer_hash);
}

INSTANTIATE_TEST_SUITE_P(
    , OptimizerHashTest,
    testing::Combine(testing::Values(Variant{"lion", WithLion}, Variant{"adafactor", WithAdafactor},
                                     Variant{"muon", WithMuon}, Variant{"frozen", PartlyFrozen}),
                     testing::Values(F32, BF16)),
    [](const auto& info) {
      return std::string(std::get<0>(info.param).name) + "_" +
             Precision_Name(std::get<1>(info.param));
    });

TEST(FreezeTest, WhatIsFrozenStaysAndKeepsNothing) {
  const JobSpec job = PartlyFrozen(SmallJob(5));
  const auto plan = Compile(job, {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  JobSpec none = job;
  none.mutable_training()->clear_freeze();
  EXPECT_NE(Plainest(job).weights, Plainest(none).weights);
  for (const GradientItem& item : plan->program.gradient_stream) {
    EXPECT_TRUE(plan->parameters[plan->tiles[item.tile].parameter].trained);
  }
}

// A job in which nothing is better than the first validation by enough.
JobSpec Impatient(JobSpec job) {
  Plain(job)->set_validate_every(1);
  job.mutable_training()->set_steps(7);
  EarlyStop* stop = job.mutable_training()->mutable_early_stop();
  stop->set_patience(2);
  stop->set_min_delta(100);
  return job;
}

TEST(EarlyStopTest, IsAJobOfThatManySteps) {
  JobSpec shorter = Impatient(SmallJob(5));
  shorter.mutable_training()->clear_early_stop();
  shorter.mutable_training()->set_steps(3);
  const Numbers expected = Plainest(shorter);
  uint64_t seed = 600;
  for (const int wafers : {1, 3}) {
    for (const uint64_t every : {0, 2, 3}) {
      JobSpec job = Impatient(SmallJob(5));
      job.mutable_checkpoint()->set_every(every);
      const InprocResult result = RunSmallJob(job, {.shape = {wafers, 2, 1}, .seed = ++seed});
      EXPECT_EQ(result.weights_hash, expected.weights) << every;
      EXPECT_EQ(result.optimizer_hash, expected.optimizer);
      EXPECT_EQ(result.losses, expected.losses);
      EXPECT_TRUE(result.status.stopped_early());
      EXPECT_EQ(result.status.step(), 3u);
      EXPECT_EQ(result.status.steps(), 3u);
      EXPECT_EQ(result.status.checkpoint_step(), 3u);
    }
  }
}

// Where it stopped, another job goes on, with all the patience that it wants.
TEST(EarlyStopTest, GoesOnFromWhereItStopped) {
  JobSpec job = Impatient(SmallJob(5));
  job.mutable_checkpoint()->set_dir(EmptyFolder("stopped"));
  const auto stopped = RunInproc(job, {.shape = {2, 2, 1}});
  ASSERT_TRUE(stopped.ok()) << stopped.status();
  JobSpec rest = job;
  rest.mutable_training()->clear_early_stop();
  rest.mutable_checkpoint()->set_from(stopped->checkpoint);
  const InprocResult resumed = RunSmallJob(rest, {.shape = {1, 1, 1}});
  rest.mutable_checkpoint()->clear_from();
  const Numbers whole = Plainest(rest);
  EXPECT_EQ(whole.losses.size(), 7u);
  EXPECT_EQ(resumed.weights_hash, whole.weights);
  EXPECT_EQ(resumed.optimizer_hash, whole.optimizer);
  EXPECT_FALSE(resumed.status.stopped_early());
}

TEST(KeepBestTest, TheBestValidationsCheckpointStays) {
  JobSpec job = SmallJob(5);
  Plain(job)->set_validate_every(1);
  job.mutable_training()->set_steps(6);
  // After two steps it goes astray.
  Amendment* astray = job.mutable_training()->add_amendments();
  astray->set_from_step(2);
  astray->set_lr(3);
  job.mutable_checkpoint()->set_keep(1);
  job.mutable_checkpoint()->set_dir(EmptyFolder("best"));
  for (const bool keeps : {true, false}) {
    job.mutable_checkpoint()->set_keep_best(keeps);
    job.mutable_checkpoint()->set_dir(EmptyFolder("best"));
    const auto result = RunInproc(job, {.shape = {2, 2, 1}});
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->status.best_step(), 2u);
    EXPECT_EQ(result->status.best_val_loss(), *std::min_element(result->validation_losses.begin(),
                                                                result->validation_losses.end()));
    const std::string best = job.checkpoint().dir() + "/step-000002";
    EXPECT_EQ(result->status.best_checkpoint(), keeps ? best : "");
    EXPECT_EQ(std::filesystem::exists(best), keeps);
    EXPECT_FALSE(std::filesystem::exists(job.checkpoint().dir() + "/step-000003"));
    EXPECT_TRUE(std::filesystem::exists(result->checkpoint));
  }
}

}  // namespace
}  // namespace waferstream
