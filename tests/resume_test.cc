// A job that stops at a checkpoint and goes on, on another cluster, ends where it would have ended.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/small_job.h"

namespace waferstream {
namespace {

JobSpec Job(const std::string& folder) {
  JobSpec job = SmallJob(5);
  job.mutable_training()->set_steps(5);
  job.mutable_checkpoint()->set_dir(folder);
  job.mutable_checkpoint()->set_every(1);
  job.mutable_checkpoint()->set_keep(10);
  return job;
}

class ResumeTest : public testing::TestWithParam<Precision> {};

TEST_P(ResumeTest, FromEveryStepOnEveryCluster) {
  JobSpec job = Job(EmptyFolder("whole"));
  job.mutable_training()->set_precision(GetParam());
  const absl::StatusOr<InprocResult> whole = RunInproc(job, {.shape = {2, 2, 1}, .seed = 1});
  ASSERT_TRUE(whole.ok()) << whole.status().message();
  const std::vector<ClusterShape> shapes = {{1, 1, 1}, {3, 1, 2}, {4, 3, 1}};
  for (uint64_t step = 1; step < 5; ++step) {
    for (const ClusterShape& shape : shapes) {
      SCOPED_TRACE(testing::Message()
                   << "from step " << step << " on " << shape.wafers << " wafers");
      JobSpec rest = job;
      rest.mutable_checkpoint()->set_dir(EmptyFolder("rest"));
      rest.mutable_checkpoint()->set_from(job.checkpoint().dir() + "/step-00000" +
                                          std::to_string(step));
      const absl::StatusOr<InprocResult> resumed =
          RunInproc(rest, {.shape = shape, .seed = step, .start_step = step});
      ASSERT_TRUE(resumed.ok()) << resumed.status().message();
      EXPECT_EQ(resumed->outcome.weights_hash, whole->outcome.weights_hash);
      EXPECT_EQ(resumed->outcome.optimizer_hash, whole->outcome.optimizer_hash);
      const std::vector<double>& losses = whole->outcome.losses;
      EXPECT_EQ(resumed->outcome.losses,
                std::vector<double>(losses.begin() + static_cast<long>(step), losses.end()));
      EXPECT_EQ(resumed->outcome.validation_losses.back(), whole->outcome.validation_losses.back());
    }
  }
}

// A checkpoint in the middle flushes the pending update into the file and changes nothing else.
TEST_P(ResumeTest, CheckpointsDoNotChangeTheRun) {
  JobSpec job = Job(EmptyFolder("often"));
  job.mutable_training()->set_precision(GetParam());
  const absl::StatusOr<InprocResult> often = RunInproc(job, {.shape = {2, 2, 1}, .seed = 1});
  job.mutable_checkpoint()->set_every(0);
  job.mutable_checkpoint()->set_dir(EmptyFolder("once"));
  const absl::StatusOr<InprocResult> once = RunInproc(job, {.shape = {2, 2, 1}, .seed = 2});
  ASSERT_TRUE(often.ok() && once.ok());
  EXPECT_EQ(often->outcome.weights_hash, once->outcome.weights_hash);
  EXPECT_EQ(often->outcome.optimizer_hash, once->outcome.optimizer_hash);
}

INSTANTIATE_TEST_SUITE_P(, ResumeTest, testing::Values(F32, BF16),
                         [](const auto& info) { return Precision_Name(info.param); });

}  // namespace
}  // namespace waferstream
