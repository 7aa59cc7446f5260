// Clusters of real processes that are replaced, one at a time, by those of another release while a
// job runs on them.
#include <stdlib.h>

#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "client/test_wait.h"
#include "gtest/gtest.h"
#include "tests/chaos/chaos_cluster.h"
#include "tests/chaos/chaos_job.h"

namespace waferstream {
namespace {

constexpr const char* kThis = "";  // 0.1.0, protocol 1
constexpr const char* kNext = "tests/upgrade/next";
constexpr const char* kOther = "tests/upgrade/other";
// Long enough that nobody is lost on a busy machine.
constexpr int kLongLeaseMs = 5000;

// A spare of MemoryX and of SwarmX, so that whoever leaves has somebody to leave to.
ChaosOptions Cluster(const std::string& programs) {
  return {.shape = {.wafers = 2, .memoryx = 2, .swarmx = 2},
          .lease_ms = kLongLeaseMs,
          .programs = programs};
}

const std::vector<std::string> kNodes = {"memoryx-0", "memoryx-1", "swarmx-0",
                                         "swarmx-1",  "wafer-0",   "wafer-1"};

std::vector<std::string> ControllerFirst() {
  std::vector<std::string> order = kNodes;
  order.insert(order.begin(), "controller");
  return order;
}

std::vector<std::string> ControllerLast() {
  std::vector<std::string> order = kNodes;
  order.push_back("controller");
  return order;
}

// "0.1.0 1": what the controller says of those that it knows.
std::set<std::string> Releases(ChaosCluster& cluster) {
  std::set<std::string> releases;
  for (const std::string& id : kNodes) {
    const NodeStatus node = cluster.Node(id);
    releases.insert(node.version() + " " + std::to_string(node.protocol()));
  }
  return releases;
}

// As docs/ADMIN.md has it: stop one, start it as it is to be, see that the job goes on.
void Replace(ChaosCluster& cluster, const std::string& id, const std::string& version,
             const std::string& job_id) {
  SCOPED_TRACE(id);
  EXPECT_EQ(cluster.Stop(id), 0);
  cluster.Start(id);
  const uint64_t step = cluster.Get(job_id).step();
  const auto is_back = [&] {
    if (id == "controller") return cluster.Answers();
    const NodeStatus node = cluster.Node(id);
    return node.state() != LOST && node.version() == version;
  };
  EXPECT_TRUE(WaitFor(is_back)) << id;
  const JobStatus job = cluster.Await(job_id, [&](const JobStatus& now) {
    return HasEnded(now) || (now.state() == RUNNING && now.wafers() == 2 && now.step() > step);
  });
  EXPECT_EQ(job.state(), RUNNING) << "too short a job, or: " << job.reason();
}

struct UpgradeCase {
  std::string name;
  const char* from;
  const char* to;
  std::string version;  // of `to`
  std::vector<std::string> order;
  std::set<std::string> afterwards;  // Releases
};

void PrintTo(const UpgradeCase& upgrade, std::ostream* out) { *out << upgrade.name; }

class UpgradeTest : public ::testing::TestWithParam<UpgradeCase> {};

TEST_P(UpgradeTest, AJobGoesThroughItAndEndsInTheSameHash) {
  const UpgradeCase& upgrade = GetParam();
  const std::vector<std::string> steps = {"training.steps=1500", "checkpoint.every=500"};
  ChaosCluster cluster("upgrade", Cluster(upgrade.from));
  const std::string job_id = cluster.Submit(ChaosJob(cluster, steps));
  cluster.Await(job_id, [](const JobStatus& job) { return job.step() > 2; });
  cluster.Use(upgrade.to);
  for (const std::string& id : upgrade.order) {
    Replace(cluster, id, upgrade.version, job_id);
    if (HasFatalFailure() || HasNonfatalFailure()) return;
  }
  // A node that the job does without may come back to a new controller after the others.
  WaitFor([&] { return Releases(cluster) == upgrade.afterwards; });
  EXPECT_EQ(Releases(cluster), upgrade.afterwards);
  const JobStatus job = cluster.AwaitEnd(job_id);
  EXPECT_LE(job.redone_steps(), 2u) << cluster.Events(job_id);
  EXPECT_EQ(job.job().checkpoint().accepted_size(), 0);
  ExpectSameResult(job, steps);
  RecordProperty("redone_steps", static_cast<int>(job.redone_steps()));
  RecordProperty("weights_hash", job.weights_hash());
}

INSTANTIATE_TEST_SUITE_P(
    , UpgradeTest,
    ::testing::Values(
        UpgradeCase{"ControllerFirst", kThis, kNext, "0.2.0", ControllerFirst(), {"0.2.0 2"}},
        UpgradeCase{"ControllerLast", kThis, kNext, "0.2.0", ControllerLast(), {"0.2.0 2"}},
        UpgradeCase{"AndBack", kNext, kThis, "0.1.0", ControllerLast(), {"0.1.0 1"}}),
    [](const auto& info) { return info.param.name; });

// Stops a node whose job cannot do without it.
void ReplaceAllTheSame(ChaosCluster& cluster, const std::string& id) {
  cluster.Stop(id);
  cluster.Start(id);
}

class OtherNumericsTest : public ::testing::Test {
 protected:
  OtherNumericsTest() { setenv("WAFERSTREAM_GRACE", "1", 1); }
  ~OtherNumericsTest() override { unsetenv("WAFERSTREAM_GRACE"); }

  // It is told to go on: from its last checkpoint, and that is on record.
  void ResumeAndExpectTheEnd(ChaosCluster& cluster, const std::string& job_id) {
    const JobStatus paused =
        cluster.Await(job_id, [](const JobStatus& job) { return job.state() == PAUSED; });
    EXPECT_TRUE(
        absl::StartsWith(paused.reason(),
                         "numerics: the job was computed with 2, and this controller (version "
                         "0.2.0) computes with 3; resume goes on with that, from "))
        << paused.reason();
    ResumeRequest request;
    request.set_request_id("go on");
    request.set_job_id(job_id);
    EXPECT_TRUE(cluster.client().Resume(request).ok());
    const JobStatus job = cluster.AwaitEnd(job_id);
    ExpectSameResult(job, kSteps);  // only the number is another one
    EXPECT_EQ(job.numerics(), 3u);
    ASSERT_EQ(job.job().checkpoint().accepted_size(), 1);
    EXPECT_EQ(job.job().checkpoint().accepted(0).key(), "numerics");
    EXPECT_EQ(job.job().checkpoint().accepted(0).from_step(), paused.checkpoint_step());
  }

  const std::vector<std::string> kSteps = {"training.steps=1500", "checkpoint.every=200"};
};

TEST_F(OtherNumericsTest, NodesFirstTheJobWaitsAndThenAsks) {
  ChaosCluster cluster("nodes_first", Cluster(kThis));
  const std::string job_id = cluster.Submit(ChaosJob(cluster, kSteps));
  cluster.Await(job_id, [](const JobStatus& job) { return job.checkpoint_step() > 0; });
  cluster.Use(kOther);
  for (const char* id : {"wafer-1", "wafer-0"}) ReplaceAllTheSame(cluster, id);
  const JobStatus waits = cluster.Await(job_id, [](const JobStatus& job) {
    return HasEnded(job) || absl::StrContains(job.reason(), "numerics");
  });
  EXPECT_EQ(waits.state(), PREPARING);
  EXPECT_EQ(
      waits.reason(),
      "waiting for 1 more wafer node (wafer-0 of version 0.2.0 and 1 more has numerics 3, the "
      "job 2: upgrade the controller too)");
  for (const char* id : {"swarmx-0", "swarmx-1", "memoryx-1", "memoryx-0", "controller"}) {
    ReplaceAllTheSame(cluster, id);
  }
  ResumeAndExpectTheEnd(cluster, job_id);
}

TEST_F(OtherNumericsTest, ControllerFirstTheJobAsksAtOnceAndWaitsForItsNodes) {
  ChaosCluster cluster("controller_first", Cluster(kThis));
  const std::string job_id = cluster.Submit(ChaosJob(cluster, kSteps));
  cluster.Await(job_id, [](const JobStatus& job) { return job.checkpoint_step() > 0; });
  cluster.Use(kOther);
  ReplaceAllTheSame(cluster, "controller");
  cluster.Await(job_id, [](const JobStatus& job) { return job.state() == PAUSED; });
  for (const std::string& id : kNodes) ReplaceAllTheSame(cluster, id);
  ResumeAndExpectTheEnd(cluster, job_id);
}

}  // namespace
}  // namespace waferstream
