// A job that stops at a checkpoint and goes on, on another cluster, ends where it would have ended.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "checkpoint/go_on.h"
#include "checkpoint/posix_disk.h"
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
    const std::string from = job.checkpoint().dir() + "/step-00000" + std::to_string(step);
    JobSpec rest = as_the_file_says;
    rest.mutable_checkpoint()->set_dir(EmptyFolder("rest"));
    rest.mutable_checkpoint()->set_from(from);
    const auto run = [&](const JobSpec& spec) {
      const auto result = RunInproc(spec, {.shape = {3, 1, 2}, .seed = 1, .start_step = step});
      EXPECT_TRUE(result.ok()) << result.status();
      return result->outcome.weights_hash;
    };
    const absl::StatusOr<GoingOn> going_on = GoOnFrom(rest, *ReadManifest(PosixDisk(), from));
    ASSERT_TRUE(going_on.ok()) << going_on.status();
    EXPECT_EQ(run(going_on->job), whole->outcome.weights_hash);
    EXPECT_NE(run(rest), whole->outcome.weights_hash) << "the amendment matters";
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
