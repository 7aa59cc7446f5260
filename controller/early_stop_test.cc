// training.early_stop and checkpoint.keep_best on a scripted cluster, whose validations are all
// equal; through a controller that is killed at any moment.
#include <string>
#include <vector>

#include "controller/controller_core.h"
#include "controller/fake_cluster.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;

// Of 6 steps it does 3: the second and the third validation are in vain.
JobSpec Impatient() {
  JobSpec spec = SmallJob();
  spec.mutable_training()->set_steps(6);
  spec.mutable_training()->set_validate_every(1);
  spec.mutable_training()->mutable_early_stop()->set_patience(2);
  spec.mutable_data()->set_validation("/data/val.bin");
  return spec;
}

void ExpectStopped(const FakeCluster& cluster) {
  const JobStatus& job = cluster.Job();
  EXPECT_EQ(job.state(), DONE) << job.reason();
  EXPECT_TRUE(job.stopped_early());
  EXPECT_EQ(job.step(), 3u);
  EXPECT_EQ(job.steps(), 3u);
  EXPECT_EQ(job.checkpoint_step(), 3u);
  EXPECT_EQ(job.weights_hash(), "weights3");
  EXPECT_EQ(job.best_step(), 1u);
  EXPECT_EQ(job.best_val_loss(), 4);
  ASSERT_EQ(job.job().training().amendments_size(), 1);
  EXPECT_EQ(job.job().training().amendments(0).from_step(), 3u);
  for (const CommitRecord& commit : cluster.commits) EXPECT_LT(commit.step, 3u);
}

TEST(EarlyStop, EndsWithACheckpointOfItsLastStep) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(Impatient());
  cluster.Settle();
  ExpectStopped(cluster);
  EXPECT_THAT(cluster.events,
              Contains("job-1-t: stops early: 2 validations in a row were not better than 4"));
  EXPECT_THAT(cluster.events, Contains("job-1-t: ends after 3 steps"));
  EXPECT_TRUE(AllIdle(cluster));
}

TEST(EarlyStop, ABetterValidationBeginsTheRowAnew) {
  FakeCluster cluster;
  cluster.edit = [](NodeReport& report) {
    if (!report.has_wafer_validation() || report.wafer_validation().step() != 2) return;
    for (double& sum : *report.mutable_wafer_validation()->mutable_loss_sum()) sum /= 2;
  };
  cluster.AddNodes();
  cluster.Submit(Impatient());
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), DONE) << cluster.Job().reason();
  EXPECT_EQ(cluster.Job().step(), 5u);
  EXPECT_EQ(cluster.Job().best_step(), 3u);
  EXPECT_EQ(cluster.Job().best_val_loss(), 2);
}

// As JobStore::LoadJobs finds it.
RestoredState KilledAt(const FakeCluster& cluster) {
  RestoredJob job{.record = cluster.records.back(),
                  .job = absl::UnknownError("not queued"),
                  .commits = cluster.commits};
  if (!cluster.commits.empty()) {
    job.record.status.set_step(cluster.commits.back().step + 1);
    job.record.status.set_loss(cluster.commits.back().loss);
  }
  RestoredState state;
  state.jobs.push_back(std::move(job));
  return state;
}

TEST(EarlyStop, AControllerThatComesBackDecidesAlike) {
  int killed = 0;
  for (int moment = 0;; ++moment) {
    FakeCluster first;
    first.AddNodes();
    first.Submit(Impatient());
    bool over = false;
    for (int i = 0; i < moment && !over; ++i) over = !first.StepOnce();
    if (over) break;
    if (first.statuses.empty() || first.Job().state() == QUEUED) continue;
    if (first.Job().state() == DONE) continue;
    SCOPED_TRACE(moment);
    FakeCluster second(KilledAt(first), first.now_s + 1);
    second.AddNodes();
    second.Settle();
    ExpectStopped(second);
    ++killed;
  }
  EXPECT_GT(killed, 40);
}

// A lost node, while the last epoch is made or runs: the job goes back, and ends where it stopped.
TEST(EarlyStop, GoesBackToACheckpointAndEndsWhereItStopped) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(Impatient());
  while (cluster.statuses.empty() || !cluster.Job().stopped_early()) {
    ASSERT_TRUE(cluster.StepOnce());
  }
  ASSERT_EQ(cluster.Job().checkpoint_step(), 2u);
  cluster.SettleCalls();
  cluster.Pass(3.1, {"m1", "s0", "w0", "w1"});
  cluster.Pass(9.1, {"m1", "s0", "w0", "w1"});
  cluster.Settle();
  ExpectStopped(cluster);
  EXPECT_THAT(cluster.history, Contains("rewind to 2"));
  EXPECT_EQ(cluster.commits.size(), 4u) << "one step again";
}

TEST(KeepBest, EverySealSaysWhichCheckpointStays) {
  JobSpec spec = Impatient();
  spec.mutable_training()->clear_early_stop();
  spec.mutable_training()->set_steps(4);
  spec.mutable_checkpoint()->set_every(0);
  spec.mutable_checkpoint()->set_keep_best(true);
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(spec);
  std::vector<uint64_t> sealed, stays;
  do {
    if (!cluster.writes.empty() || cluster.calls.empty()) continue;
    const auto* seal = std::get_if<SealRequest>(&cluster.calls.front().request);
    if (seal == nullptr) continue;
    sealed.push_back(seal->steps_done());
    stays.push_back(seal->best_steps());
  } while (cluster.StepOnce());
  EXPECT_EQ(cluster.Job().state(), DONE) << cluster.Job().reason();
  EXPECT_THAT(sealed, ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(stays, ElementsAre(0, 1, 1, 1));
  EXPECT_EQ(cluster.Job().best_checkpoint(), "/checkpoints/1");
}

}  // namespace
}  // namespace waferstream
