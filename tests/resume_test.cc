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
      const absl::StatusOr<InprocResult> resumed = RunInproc(rest, {.shape = shape, .seed = step});
      ASSERT_TRUE(resumed.ok()) << resumed.status().message();
      EXPECT_EQ(resumed->weights_hash, whole->weights_hash);
      EXPECT_EQ(resumed->optimizer_hash, whole->optimizer_hash);
      const std::vector<double>& losses = whole->losses;
      EXPECT_EQ(resumed->losses,
                std::vector<double>(losses.begin() + static_cast<long>(step), losses.end()));
      EXPECT_EQ(resumed->validation_losses.back(), whole->validation_losses.back());
    }
  }
}

// What a pause changed is in the checkpoints after it, and whoever goes on from one takes it over.
TEST_P(ResumeTest, WithWhatAPauseHadChanged) {
  JobSpec job = Job(EmptyFolder("amended"));
  job.mutable_training()->set_precision(GetParam());
  const JobSpec as_the_file_says = job;
  Amendment* amendment = job.mutable_training()->add_amendments();
  amendment->set_from_step(1);
  amendment->set_lr(3e-3);
  amendment->set_skip_batch(true);
  const absl::StatusOr<InprocResult> whole = RunInproc(job, {.shape = {2, 2, 1}, .seed = 1});
  ASSERT_TRUE(whole.ok()) << whole.status().message();
  for (const uint64_t step : {2, 4}) {
    JobSpec rest = as_the_file_says;
    rest.mutable_checkpoint()->set_dir(EmptyFolder("rest"));
    rest.mutable_checkpoint()->set_from(job.checkpoint().dir() + "/step-00000" +
                                        std::to_string(step));
    const auto resumed = RunInproc(rest, {.shape = {3, 1, 2}, .seed = 1});
    ASSERT_TRUE(resumed.ok()) << resumed.status();
    EXPECT_EQ(resumed->weights_hash, whole->weights_hash);
  }
  JobSpec unchanged = as_the_file_says;
  unchanged.mutable_checkpoint()->set_dir(EmptyFolder("unchanged"));
  const auto other = RunInproc(unchanged, {.shape = {2, 2, 1}, .seed = 1});
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_NE(other->weights_hash, whole->weights_hash) << "the amendment matters";
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
  EXPECT_EQ(often->weights_hash, once->weights_hash);
  EXPECT_EQ(often->optimizer_hash, once->optimizer_hash);
}

INSTANTIATE_TEST_SUITE_P(, ResumeTest, testing::Values(F32, BF16),
                         [](const auto& info) { return Precision_Name(info.param); });

}  // namespace
}  // namespace waferstream
