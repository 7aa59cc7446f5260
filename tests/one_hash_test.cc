// The promise of the project: what a job computes depends on the job and on nothing else. Every run
// here is a whole cluster of production cores, with its events in another order each time.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "plan/plan_costs.h"
#include "tests/clusters.h"
#include "tests/small_job.h"

namespace waferstream {
namespace {

std::vector<Cluster> AllClusters() {
  std::vector<Cluster> clusters;
  for (const int wafers : {1, 2, 3, 4}) {
    for (const int fanout : {2, 4}) {
      for (const int memoryx : {1, 2, 3}) {
        for (const int planes : {1, 2}) {
          for (const int threads : {1, 2}) {
            for (const Recompute recompute :
                 {RECOMPUTE_NONE, RECOMPUTE_SELECTIVE, RECOMPUTE_FULL}) {
              clusters.push_back({wafers, fanout, memoryx, planes, threads, recompute});
            }
          }
        }
      }
    }
  }
  return clusters;
}

class OneHashTest : public testing::TestWithParam<std::tuple<Precision, int>> {
 protected:
  JobSpec Job() const {
    JobSpec job = SmallJob(std::get<1>(GetParam()));
    job.mutable_training()->set_precision(std::get<0>(GetParam()));
    return job;
  }
};

TEST_P(OneHashTest, OnEveryCluster) {
  const Numbers expected = Plainest(Job());
  ASSERT_EQ(expected.losses.size(), 3u);
  ASSERT_EQ(expected.validation.size(), 2u);
  ASSERT_LT(expected.losses[2], expected.losses[0]);
  uint64_t seed = 0;
  for (const Cluster& c : AllClusters()) {
    ExpectSame(expected, On(c, Job()), c, ++seed);
    if (HasFailure()) return;  // one counterexample is enough
  }
}

// The least SRAM, and so as many waves as there can be.
TEST_P(OneHashTest, InSeveralWaves) {
  const Numbers expected = Plainest(Job());
  uint64_t seed = 100;
  int waves_max = 0;
  for (const Cluster& c : AllClusters()) {
    if (c.fanout != 2 || c.memoryx == 3 || c.threads != 1) continue;
    const ClusterShape shape = {c.wafers, c.memoryx, 1};
    const JobSpec job = WithLeastSram(On(c, Job()), shape);
    waves_max = std::max(waves_max, Compile(job, shape)->waves);
    ExpectSame(expected, job, c, ++seed);
    if (HasFailure()) return;
  }
  EXPECT_GE(waves_max, 5);
}

// The other shapes a job can have.
TEST_P(OneHashTest, UntiedWithSgdUnclippedUnshuffled) {
  JobSpec job = Job();
  job.mutable_model()->set_tied(false);
  job.mutable_training()->clear_optimizer();
  Sgd* sgd = job.mutable_training()->mutable_optimizer()->mutable_sgd();
  sgd->set_lr(0.3);
  sgd->set_momentum(0.9);
  sgd->set_weight_decay(0.01);
  job.mutable_training()->clear_schedule();
  job.mutable_training()->set_clip(0);
  job.mutable_data()->set_shuffle(SHUFFLE_NONE);
  const Numbers expected = Plainest(job);
  ASSERT_LT(expected.losses[2], expected.losses[0]);
  EXPECT_NE(expected.weights, Plainest(Job()).weights);
  uint64_t seed = 200;
  for (const Cluster& c : AllClusters()) {
    if (c.fanout != 4 || c.memoryx == 1 || c.threads != 2) continue;
    ExpectSame(expected, On(c, job), c, ++seed);
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(, OneHashTest,
                         testing::Combine(testing::Values(F32, BF16), testing::Values(5, 7)),
                         [](const auto& info) {
                           return Precision_Name(std::get<0>(info.param)) + "_" +
                                  std::to_string(std::get<1>(info.param)) + "_leaves";
                         });

// Every family, with what it has that others have not.
ModelSpec ModelOf(const std::string& family) {
  ModelSpec m = SmallJob(5).model();
  m.set_family(family);
  m.set_heads(4);
  m.set_tied(false);
  m.set_ffn(60);
  if (family == "gpt_neox" || family == "gptj") m.set_rope_fraction(0.7);
  if (family == "llama" || family == "qwen3" || family == "olmo2") {
    m.set_kv_heads(2);
    m.set_head_dim(10);
  }
  if (family == "llama") {
    m.set_rope_factor(4);
    m.set_rope_original_context(6);
  }
  if (family == "mistral") m.set_window(5);
  if (family == "qwen2") m.set_kv_heads(1);
  // Of so many experts some have no token of a micro-batch.
  if (family == "mixtral" || family == "qwen3_moe") {
    m.set_experts(19);
    m.set_experts_per_token(2);
    m.set_router_aux_loss(0.02);
  }
  return m;
}

class FamilyHashTest : public testing::TestWithParam<std::tuple<std::string, Precision>> {
 protected:
  JobSpec Job() const {
    JobSpec job = SmallJob(5);
    *job.mutable_model() = ModelOf(std::get<0>(GetParam()));
    job.mutable_training()->set_precision(std::get<1>(GetParam()));
    return job;
  }
};

TEST_P(FamilyHashTest, OnAnyClusterWithAnyRecomputation) {
  const Numbers expected = Plainest(Job());
  ASSERT_EQ(expected.losses.size(), 3u);
  ASSERT_LT(expected.losses[2], expected.losses[0]);
  uint64_t seed = 300;
  for (const Recompute recompute : {RECOMPUTE_NONE, RECOMPUTE_SELECTIVE, RECOMPUTE_FULL}) {
    for (const int wafers : {1, 3}) {
      const Cluster c = {wafers, 2, 2, 2, 2, recompute};
      ExpectSame(expected, On(c, Job()), c, ++seed);
    }
    const Cluster tight = {2, 2, 1, 1, 1, recompute};
    ExpectSame(expected, WithLeastSram(On(tight, Job()), {2, 1, 1}), tight, ++seed);
  }
}

INSTANTIATE_TEST_SUITE_P(, FamilyHashTest,
                         testing::Combine(testing::Values("gpt_neox", "gptj", "llama", "mistral",
                                                          "mixtral", "olmo2", "qwen2", "qwen3",
                                                          "qwen3_moe"),
                                          testing::Values(F32, BF16)),
                         [](const auto& info) {
                           return std::get<0>(info.param) + "_" +
                                  Precision_Name(std::get<1>(info.param));
                         });

// What is planned is what is sent, less what experts without a token would have sent.
TEST(ExpertsTest, WithoutATokenSendNoGradient) {
  for (const uint32_t experts : {2, 19}) {
    JobSpec job = SmallJob(5);
    *job.mutable_model() = ModelOf("mixtral");
    job.mutable_model()->set_experts(experts);
    const ClusterShape shape = {1, 1, 1};
    const auto plan = Compile(job, shape);
    ASSERT_TRUE(plan.ok()) << plan.status();
    const InprocResult run = RunSmallJob(job, {.shape = shape});
    const uint64_t planned = job.training().steps() * CostsOf(*plan).traffic.gradients_from_wafer;
    const uint64_t sent = run.wafers[0].gradient_bytes_out();
    EXPECT_EQ(run.memoryx[0].gradient_bytes_in(), run.swarmx[0].gradient_bytes_out());
    EXPECT_EQ(sent == planned, experts == 2);
    EXPECT_LE(sent, planned);
    EXPECT_GT(sent, planned / 2);
  }
}

// What the job does depend on shows in the hash: a test of the test.
TEST(OneHashSensitivityTest, AnotherJobHasAnotherHash) {
  const JobSpec job = SmallJob(5);
  const std::string weights = Plainest(job).weights;
  JobSpec other = job;
  other.mutable_training()->set_seed(6);
  EXPECT_NE(Plainest(other).weights, weights);
  other = job;
  other.mutable_training()->set_steps(2);
  EXPECT_NE(Plainest(other).weights, weights);
  other = job;
  other.mutable_training()->set_precision(BF16);
  EXPECT_NE(Plainest(other).weights, weights);
}

TEST(DeterminismTest, OneSeedOneTrace) {
  const JobSpec job = SmallJob(5);
  const auto trace = [&](uint64_t seed) {
    return RunSmallJob(job, {.shape = {3, 2, 2}, .seed = seed}).trace_hash;
  };
  const std::string first = trace(1);
  EXPECT_FALSE(first.empty());
  EXPECT_EQ(trace(1), first);
  EXPECT_NE(trace(2), first);
}

}  // namespace
}  // namespace waferstream
