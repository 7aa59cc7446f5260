// What ends an epoch, and what follows; the same blow at every moment of a job.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "controller/controller_core.h"
#include "controller/fake_cluster.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

NodeReport Fault(FakeCluster& cluster, const std::string& node, const std::string& peer) {
  NodeReport report = cluster.MakeReport("job-1-t", node);
  report.mutable_fault()->set_message("channel closed");
  report.mutable_fault()->set_peer(peer);
  return report;
}

TEST(Faults, AFaultOfANodeItselfIsDoneAgain) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(SmallJob());
  cluster.SettleCalls();
  ASSERT_TRUE(cluster.Report(Fault(cluster, "s0", "")).ok());
  EXPECT_EQ(cluster.Job().state(), PREPARING);
  EXPECT_EQ(cluster.Job().epoch(), 2u);
  EXPECT_THAT(cluster.events,
              Contains("job-1-t: step 0: s0: channel closed; the step is done again"));
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), DONE);
  EXPECT_EQ(cluster.Job().redone_steps(), 1u);
}

// w1 dies; s0 sees it and stops, which is all that the others see.
TEST(Faults, ALeaseDecidesWhichEndOfABrokenChannelIsLost) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(SmallJob());
  cluster.SettleCalls();
  cluster.Pass(1.5, {"m0", "m1", "s0", "w0"});
  ASSERT_TRUE(cluster.Report(Fault(cluster, "w0", "s0")).ok());
  ASSERT_TRUE(cluster.Report(Fault(cluster, "s0", "w1")).ok());
  ASSERT_TRUE(cluster.Report(Fault(cluster, "m0", "s0")).ok());
  EXPECT_EQ(cluster.Job().state(), RUNNING);
  cluster.Pass(2, {"m0", "m1", "s0", "w0"});
  EXPECT_EQ(cluster.Job().epoch(), 2u);
  EXPECT_THAT(
      cluster.events,
      Contains(AllOf(
          HasSubstr("step 0: w1 was not heard of for"),
          HasSubstr(
              "; first seen by w0 (channel to s0): channel closed; the step is done again"))));
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), DONE);
  EXPECT_EQ(cluster.Job().wafers(), 1u);
}

TEST(Faults, ABrokenLinkBetweenLivingNodesIsTriedAgain) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(SmallJob());
  cluster.SettleCalls();
  ASSERT_TRUE(cluster.Report(Fault(cluster, "s0", "w1")).ok());
  EXPECT_EQ(cluster.Job().state(), RUNNING);
  ASSERT_TRUE(cluster.Report(Fault(cluster, "w1", "s0")).ok());
  EXPECT_THAT(cluster.events, Contains("job-1-t: step 0: s0 (channel to w1): channel closed; the "
                                       "step is done again"));
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), DONE);
  EXPECT_EQ(cluster.Job().wafers(), 2u);
}

TEST(Faults, AFaultThatOnlyOneEndSeesWaitsForOneLease) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(SmallJob());
  cluster.SettleCalls();
  ASSERT_TRUE(cluster.Report(Fault(cluster, "s0", "w1")).ok());
  cluster.Pass(2.9);
  EXPECT_EQ(cluster.Job().epoch(), 1u);
  cluster.Pass(0.2);
  EXPECT_EQ(cluster.Job().epoch(), 2u);
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), DONE);
}

// The link to w1 stays broken: after three epochs the job does without w1.
TEST(Faults, ANodeThatEndsEpochAfterEpochIsLeftOut) {
  FakeCluster cluster;
  cluster.failures["Connect w1"] = absl::UnavailableError("no route");
  cluster.AddNodes();
  cluster.Submit(SmallJob());
  for (int i = 0; i < 20; ++i) {
    cluster.Settle();
    cluster.Pass(1);
  }
  EXPECT_EQ(cluster.Job().state(), DONE) << cluster.Job().reason();
  EXPECT_EQ(cluster.Job().wafers(), 1u);
  EXPECT_EQ(Where(cluster, "Connect w1").size(), 3u);
  EXPECT_THAT(cluster.events, Contains("job-1-t: w1 ended 3 epochs without progress and is left "
                                       "out if possible"));
}

TEST(Faults, GivesUpAfterManyAttempts) {
  FakeCluster cluster;
  cluster.failures["Connect s0"] = absl::UnavailableError("no route");
  cluster.AddNodes();
  cluster.Submit(SmallJob());
  cluster.Settle();
  for (int i = 0; i < 200 && cluster.Job().state() != FAILED; ++i) {
    cluster.Pass(1);
    cluster.Settle();
  }
  EXPECT_EQ(cluster.Job().state(), FAILED);
  EXPECT_THAT(cluster.Job().reason(), testing::StartsWith("given up after 20 attempts: "));
  cluster.Settle();
  EXPECT_TRUE(AllIdle(cluster));
}

TEST(Faults, NonsenseIsDoneAgain) {
  const std::vector<std::pair<std::function<void(NodeReport&)>, std::string>> cases = {
      {[](NodeReport& r) { r.mutable_wafer_step()->set_step(7); },
       "w0: a report says step 7, but 0 steps are committed"},
      {[](NodeReport& r) { r.mutable_gradients_ready(); },
       "w0 sent a report of a MemoryX node, but is a wafer node"},
      {[](NodeReport& r) { r.mutable_wafer_validation(); },
       "w0 sent a validation after step 0, which is not due"},
      {[](NodeReport& r) { r.mutable_generated_token(); },
       "w0 sent a report that a training job does not have"},
  };
  for (const auto& [fill, reason] : cases) {
    FakeCluster cluster;
    cluster.AddNodes();
    cluster.Submit(SmallJob());
    cluster.SettleCalls();
    NodeReport report = cluster.MakeReport("job-1-t", "w0");
    fill(report);
    ASSERT_TRUE(cluster.Report(report).ok());
    EXPECT_THAT(cluster.events,
                Contains(absl::StrCat("job-1-t: ", reason, "; the step is done again")));
    cluster.Settle();
    EXPECT_EQ(cluster.Job().state(), DONE);
  }
}

// A disk that refuses a record once must not undo what a user was told.
TEST(Faults, WhatUsersAskedForIsWrittenUntilTheDiskTakesIt) {
  FakeCluster cluster;
  cluster.Submit(SmallJob());
  EXPECT_FALSE(cluster.must_persist);  // the one who submits is told
  cluster.Persist();
  cluster.Cancel("job-1-t");  // while it is queued
  EXPECT_EQ(cluster.Job().state(), CANCELLED);
  EXPECT_TRUE(cluster.must_persist);
  cluster.AddNodes();
  for (const auto action : {CordonRequest::CORDON, CordonRequest::DRAIN, CordonRequest::UNCORDON}) {
    cluster.must_persist = false;
    ASSERT_TRUE(cluster.Cordon("w0", action).ok());
    EXPECT_TRUE(cluster.must_persist) << CordonRequest::Action_Name(action);
    const size_t waiting = cluster.writes.size();
    cluster.must_persist = false;
    ASSERT_TRUE(cluster.Cordon("w0", action).ok());  // it is so: nothing to write
    EXPECT_FALSE(cluster.must_persist);
    EXPECT_EQ(cluster.writes.size(), waiting);
  }
}

// Runs a job to its `moment`-th event, lets `blow` fall, and settles. False: it was over before.
bool StrikeAt(int moment, FakeCluster& cluster, const std::function<void()>& blow) {
  cluster.AddNodes();
  cluster.Submit(SmallJob());
  cluster.Persist();
  for (int i = 0; i < moment; ++i) {
    if (!cluster.StepOnce() || cluster.Job().state() == DONE) return false;
  }
  blow();
  return true;
}

TEST(Faults, CancelWorksAtEveryMoment) {
  int moment = 0;
  for (;; ++moment) {
    FakeCluster cluster;
    if (!StrikeAt(moment, cluster, [&] { cluster.Cancel("job-1-t"); })) break;
    EXPECT_EQ(cluster.Job().state(), CANCELLED) << moment;
    EXPECT_EQ(cluster.Job().reason(), "cancelled by the user");
    const uint64_t step = cluster.Job().step();
    cluster.Settle();
    EXPECT_EQ(cluster.Job().state(), CANCELLED);
    EXPECT_EQ(cluster.Job().step(), step);
    EXPECT_EQ(Where(cluster, "Release").size(), 5u) << moment;
    EXPECT_TRUE(AllIdle(cluster)) << moment;
    cluster.Cancel("job-1-t");
    EXPECT_EQ(cluster.Job().state(), CANCELLED);
    cluster.Submit(SmallJob(), "next");
    cluster.Settle();
    EXPECT_EQ(cluster.Job("job-2-t").state(), DONE) << moment;
  }
  EXPECT_GT(moment, 30);
}

TEST(Faults, ANodeThatFallsSilentIsLostAtEveryMoment) {
  int moment = 0;
  for (;; ++moment) {
    FakeCluster cluster;
    const bool struck = StrikeAt(moment, cluster, [&] {
      cluster.Pass(2.9, {"m0", "m1", "s0", "w0"});
      EXPECT_EQ(cluster.Node("w1").state(), BUSY);
      cluster.Pass(0.2, {"m0", "m1", "s0", "w0"});
    });
    if (!struck) break;
    cluster.Settle();
    EXPECT_EQ(cluster.Job().state(), DONE) << moment << ": " << cluster.Job().reason();
    EXPECT_EQ(cluster.Job().weights_hash(), "weights3");
    EXPECT_THAT(cluster.losses["job-1-t"], testing::SizeIs(testing::Ge(3u)));
    EXPECT_EQ(cluster.Node("w1").state(), LOST);
    // It was only slow: it comes back with what it holds, and is released first.
    ASSERT_TRUE(cluster.AddNode("w1", WAFER).ok());
    EXPECT_EQ(cluster.Node("w1").state(), BUSY);
    cluster.Settle();
    EXPECT_TRUE(AllIdle(cluster)) << moment;
  }
  EXPECT_GT(moment, 30);
}

// Without a second copy, m0 takes the weights with it: back to the last checkpoint.
TEST(Faults, ANodeThatRestartsIsLostAtEveryMoment) {
  int moment = 0;
  for (;; ++moment) {
    FakeCluster cluster;
    if (!StrikeAt(moment, cluster, [&] {
          ASSERT_TRUE(cluster.AddNode("m0", MEMORYX, "", /*incarnation=*/2).ok());
        })) {
      break;
    }
    cluster.Settle();
    EXPECT_EQ(cluster.Job().state(), DONE) << moment << ": " << cluster.Job().reason();
    EXPECT_EQ(cluster.Job().weights_hash(), "weights3");
    EXPECT_TRUE(AllIdle(cluster)) << moment;
    for (const PrepareRequest& prepare : cluster.Prepared("job-1-t")) {
      EXPECT_FALSE(prepare.keep());
      EXPECT_EQ(prepare.restore(), prepare.start_step() == 0 ? "" : "/checkpoints/2");
    }
  }
  EXPECT_GT(moment, 30);
}

}  // namespace
}  // namespace waferstream
