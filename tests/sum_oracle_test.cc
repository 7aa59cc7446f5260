// What a cluster adds up, against a sum that shares no code with it: the gradient of a batch is the
// canonical sum (DESIGN section 4) of the gradients of its micro-batches, each taken alone.
#include <gtest/gtest.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/posix_disk.h"
#include "plan/optimizer_state.h"
#include "plan/plan.h"
#include "tests/small_job.h"

namespace waferstream {
namespace {

// A power of two: then a micro-batch's share of the mean is its own mean, scaled without rounding.
constexpr int kLeaves = 8;

// Its gradients stand in exp_avg as they are, and no step moves a weight by a bit.
JobSpec Job(int leaves, uint64_t steps, const std::string& folder) {
  JobSpec job = SmallJob(leaves);
  // A tied embedding is a sum of two such sums.
  job.mutable_model()->set_tied(false);
  job.mutable_data()->clear_validation();
  job.mutable_data()->set_shuffle(SHUFFLE_NONE);
  TrainingSpec* training = job.mutable_training();
  training->set_steps(steps);
  training->set_clip(0);
  training->clear_schedule();
  training->set_validate_every(0);
  training->mutable_optimizer()->mutable_adamw()->set_lr(1e-30);
  training->mutable_optimizer()->mutable_adamw()->set_beta1(0);
  job.mutable_checkpoint()->set_every(1);
  job.mutable_checkpoint()->set_keep(100);
  job.mutable_checkpoint()->set_dir(EmptyFolder(folder));
  return job;
}

using Gradient = std::vector<float>;  // of all parameters, one after the other

Gradient GradientIn(const std::string& checkpoint, const JobSpec& job) {
  const auto plan = Compile(job, {});
  const auto reader = CheckpointReader::Open(PosixDisk(), checkpoint, job.model(), plan->parameters,
                                             StatesOf(*plan));
  EXPECT_TRUE(reader.ok()) << reader.status();
  Gradient all;
  for (size_t p = 0; p < plan->parameters.size(); ++p) {
    const Parameter& parameter = plan->parameters[p];
    Gradient part(static_cast<size_t>(parameter.rows * parameter.cols));
    EXPECT_TRUE(
        reader->ReadState(p, 0, {0, parameter.rows}, reinterpret_cast<std::byte*>(part.data()))
            .ok());
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

// The left half of the leaves plus the right half.
Gradient CanonicalSum(std::span<const Gradient> leaves) {
  if (leaves.size() == 1) return leaves[0];
  Gradient left = CanonicalSum(leaves.first(leaves.size() / 2));
  const Gradient right = CanonicalSum(leaves.last(leaves.size() / 2));
  for (size_t i = 0; i < left.size(); ++i) left[i] += right[i];
  return left;
}

class SumOracleTest : public testing::TestWithParam<Precision> {};

TEST_P(SumOracleTest, ABatchIsTheCanonicalSumOfItsMicroBatches) {
  JobSpec alone = Job(1, kLeaves, "alone");
  alone.mutable_training()->set_precision(GetParam());
  const auto one_by_one = RunInproc(alone, {});
  ASSERT_TRUE(one_by_one.ok()) << one_by_one.status();
  std::vector<Gradient> leaves;
  for (int k = 1; k <= kLeaves; ++k) {
    leaves.push_back(
        GradientIn(alone.checkpoint().dir() + "/step-00000" + std::to_string(k), alone));
  }
  ASSERT_NE(leaves[0], leaves[1]);
  Gradient expected = CanonicalSum(leaves);
  for (float& value : expected) value /= kLeaves;

  for (const ClusterShape& shape : std::vector<ClusterShape>{{1, 1, 1}, {3, 2, 2}, {8, 1, 3}}) {
    for (const bool many_waves : {false, true}) {
      SCOPED_TRACE(testing::Message() << shape.wafers << " wafers, many waves " << many_waves);
      JobSpec job = Job(kLeaves, 1, "together");
      job.mutable_training()->set_precision(GetParam());
      job.mutable_cluster()->set_fanout(2);
      if (many_waves) job = WithLeastSram(job, shape);
      const auto run = RunInproc(job, {.shape = shape, .seed = 1});
      ASSERT_TRUE(run.ok()) << run.status();
      const Gradient got = GradientIn(run->checkpoint, job);
      ASSERT_EQ(got.size(), expected.size());
      for (size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], expected[i]) << "value " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, SumOracleTest, testing::Values(F32, BF16),
                         [](const auto& info) { return Precision_Name(info.param); });

}  // namespace
}  // namespace waferstream
