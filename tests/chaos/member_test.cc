// Members that come and go on purpose, and jobs that wait for a person.
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/controller_client.h"
#include "client/test_wait.h"
#include "gtest/gtest.h"
#include "tests/chaos/chaos_cluster.h"
#include "tests/chaos/chaos_job.h"

namespace waferstream {
namespace {

bool IsRunning(const JobStatus& job) { return job.state() == RUNNING && job.step() > 2; }

void Cordon(ChaosCluster& cluster, const std::string& id, CordonRequest::Action action) {
  CordonRequest request;
  request.set_node_id(id);
  request.set_action(action);
  const absl::StatusOr<NodeStatus> node = cluster.client().CordonNode(request);
  ASSERT_TRUE(node.ok()) << node.status();
  EXPECT_EQ(node->cordoned(), action != CordonRequest::UNCORDON);
}

TEST(MemberTest, ADrainedWaferLeavesTheRunningJob) {
  ChaosCluster cluster("drain", {.shape = {.wafers = 2, .memoryx = 1, .swarmx = 1}});
  const std::string job_id = cluster.Submit(ChaosJob(cluster));
  cluster.Await(job_id, IsRunning);
  Cordon(cluster, "wafer-1", CordonRequest::DRAIN);
  cluster.Await(job_id, [](const JobStatus& job) { return job.wafers() == 1; });
  EXPECT_TRUE(WaitFor([&] { return cluster.Node("wafer-1").state() == IDLE; }));
  ExpectSameResult(cluster.AwaitEnd(job_id));
}

TEST(MemberTest, ACordonedWaferStaysAndIsNotTakenAgain) {
  ChaosCluster cluster("cordon", {.shape = {.wafers = 2, .memoryx = 1, .swarmx = 1}});
  const std::string job_id = cluster.Submit(ChaosJob(cluster));
  cluster.Await(job_id, IsRunning);
  Cordon(cluster, "wafer-1", CordonRequest::CORDON);
  EXPECT_EQ(cluster.Get(job_id).wafers(), 2u);
  ExpectSameResult(cluster.AwaitEnd(job_id));

  const std::string next = cluster.Submit(
      ChaosJob(cluster, {"cluster.wafers.min=1",
                         absl::StrCat("checkpoint.dir=", (cluster.dir() / "next").string())}));
  const JobStatus job = cluster.Await(next, IsRunning);
  EXPECT_EQ(job.wafers(), 1u);
  Cordon(cluster, "wafer-1", CordonRequest::UNCORDON);
  ExpectSameResult(cluster.AwaitEnd(next));
}

TEST(MemberTest, AWaferThatComesLaterJoinsTheRunningJob) {
  ChaosCluster cluster("join", {.shape = {.wafers = 1, .memoryx = 1, .swarmx = 1}});
  const std::string job_id = cluster.Submit(ChaosJob(cluster, {"cluster.wafers.min=1"}));
  EXPECT_EQ(cluster.Await(job_id, IsRunning).wafers(), 1u);
  cluster.Start("wafer-1");
  cluster.Await(job_id, [](const JobStatus& job) { return job.wafers() == 2 || HasEnded(job); });
  EXPECT_EQ(cluster.Get(job_id).wafers(), 2u);
  ExpectSameResult(cluster.AwaitEnd(job_id));
}

TEST(PauseTest, ANumberThatIsNotFiniteWaitsForAPerson) {
  ChaosCluster cluster("non_finite", {.shape = {.wafers = 2, .memoryx = 1, .swarmx = 1}});
  const std::string job_id =
      cluster.Submit(ChaosJob(cluster, {"training.optimizer.adamw.lr=1.0e+30"}));
  const JobStatus paused = cluster.AwaitEnd(job_id);
  ASSERT_EQ(paused.state(), PAUSED) << paused.reason();
  EXPECT_TRUE(absl::StrContains(paused.reason(), "not finite")) << paused.reason();
  EXPECT_LT(paused.step(), paused.steps());

  ResumeRequest resume;
  resume.set_request_id(NewRequestId());
  resume.set_job_id(job_id);
  resume.set_lr(1e-3);
  const absl::StatusOr<JobStatus> resumed = cluster.client().Resume(resume);
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  // The weights are what the last commit made of them: perhaps too large to go on from. Then it
  // pauses again; what it must not do is fail, or go on with numbers that are none.
  const JobStatus after = cluster.AwaitEnd(job_id);
  EXPECT_TRUE(after.state() == DONE || after.state() == PAUSED) << JobState_Name(after.state());
}

TEST(PauseTest, ThePausedJobOutlivesItsController) {
  ChaosCluster cluster("paused_restart", {.shape = {.wafers = 2, .memoryx = 1, .swarmx = 1}});
  const std::string job_id =
      cluster.Submit(ChaosJob(cluster, {"training.optimizer.adamw.lr=1.0e+30"}));
  ASSERT_EQ(cluster.AwaitEnd(job_id).state(), PAUSED);
  cluster.Kill("controller");
  cluster.Start("controller");
  ASSERT_TRUE(WaitFor([&] { return cluster.Answers(); }));
  EXPECT_EQ(cluster.Get(job_id).state(), PAUSED);
  EXPECT_TRUE(cluster.client().Cancel(job_id).ok());
  EXPECT_EQ(
      cluster.Await(job_id, [](const JobStatus& job) { return job.state() == CANCELLED; }).state(),
      CANCELLED);
}

}  // namespace
}  // namespace waferstream
