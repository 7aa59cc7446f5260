// Processes that are told to stop (SIGTERM), and leave without being missed.
#include <stdlib.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "client/test_wait.h"
#include "gtest/gtest.h"
#include "tests/chaos/chaos_cluster.h"
#include "tests/chaos/chaos_job.h"

namespace waferstream {
namespace {

// Long enough that nobody is lost on a busy machine: then a step would be done again.
constexpr int kLongLeaseMs = 10'000;

bool IsRunning(const JobStatus& job) { return job.state() == RUNNING && job.step() > 2; }

struct LeaveCase {
  std::string node;
  ClusterShape shape;
  std::vector<std::string> job;  // overrides
};

void PrintTo(const LeaveCase& leave, std::ostream* out) { *out << leave.node; }

class LeaveTest : public ::testing::TestWithParam<LeaveCase> {};

TEST_P(LeaveTest, NoStepIsDoneAgain) {
  const LeaveCase& leave = GetParam();
  ChaosCluster cluster("leave", {.shape = leave.shape, .lease_ms = kLongLeaseMs});
  const std::vector<std::string> steps = {"training.steps=400"};
  std::vector<std::string> overrides = leave.job;
  overrides.insert(overrides.end(), steps.begin(), steps.end());
  const std::string job_id = cluster.Submit(ChaosJob(cluster, overrides));
  cluster.Await(job_id, IsRunning);
  EXPECT_EQ(cluster.Stop(leave.node), 0);
  EXPECT_TRUE(absl::StrContains(cluster.Events(job_id), leave.node + " leaves"))
      << cluster.Events(job_id);
  cluster.Start(leave.node);  // a node like any other, at once
  const JobStatus job = cluster.AwaitEnd(job_id);
  EXPECT_EQ(job.redone_steps(), 0u) << cluster.Events(job_id);
  ExpectSameResult(job, steps);
}

INSTANTIATE_TEST_SUITE_P(
    , LeaveTest,
    ::testing::Values(
        LeaveCase{.node = "wafer-1",
                  .shape = {.wafers = 3, .memoryx = 1, .swarmx = 1},
                  .job = {"cluster.wafers.max=3"}},
        LeaveCase{.node = "swarmx-0", .shape = {.wafers = 2, .memoryx = 1, .swarmx = 2}, .job = {}},
        LeaveCase{.node = "memoryx-0",
                  .shape = {.wafers = 2, .memoryx = 2, .swarmx = 1},
                  .job = {"cluster.memoryx.nodes=2", "cluster.memoryx.replicas=2"}},
        // Its shards are handed over first: to the other one, or to a spare.
        LeaveCase{.node = "memoryx-0",
                  .shape = {.wafers = 2, .memoryx = 2, .swarmx = 1},
                  .job = {"cluster.memoryx.nodes=2"}},
        LeaveCase{
            .node = "memoryx-0", .shape = {.wafers = 2, .memoryx = 2, .swarmx = 1}, .job = {}}));

TEST(GraceTest, WhoCannotLeaveEndsWithItsGraceAndTheJobOutlivesIt) {
  setenv("WAFERSTREAM_GRACE", "1", 1);
  ChaosCluster cluster("grace", {.shape = {.wafers = 2, .memoryx = 1, .swarmx = 1}});
  unsetenv("WAFERSTREAM_GRACE");
  const std::string job_id = cluster.Submit(ChaosJob(cluster, {"training.steps=100000"}));
  cluster.Await(job_id, IsRunning);
  EXPECT_EQ(cluster.Stop("memoryx-0"), 6);
  cluster.Start("memoryx-0");
  cluster.Await(job_id, [](const JobStatus& job) { return job.epoch() > 1 && IsRunning(job); });
  EXPECT_TRUE(cluster.client().Cancel(job_id).ok());
}

TEST(GraceTest, WhoHoldsNothingEndsAtOnceAsDoWhoseControllerIsGone) {
  ChaosCluster cluster("idle", {.shape = {.wafers = 2, .memoryx = 1, .swarmx = 1}});
  EXPECT_EQ(cluster.Stop("wafer-1"), 0);
  cluster.Kill("controller");
  for (const char* id : {"wafer-0", "swarmx-0", "memoryx-0"}) EXPECT_EQ(cluster.Stop(id), 0) << id;
}

}  // namespace
}  // namespace waferstream
