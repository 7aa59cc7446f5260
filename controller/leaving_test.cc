// Nodes that were told to stop: when they leave their job, and when they may go; on a scripted
// cluster.
#include <limits>
#include <string>

#include "controller/fake_cluster.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;

const char* const kJob = "job-1-t";

class LeavingTest : public ::testing::Test {
 protected:
  LeavingTest() {
    cluster_.AddNodes();
    job_ = SmallJob();
    job_.mutable_training()->set_steps(8);
    job_.mutable_checkpoint()->set_every(0);
  }

  void RunToStep(uint64_t step) {
    if (cluster_.statuses.empty()) cluster_.Submit(job_);
    while (cluster_.statuses.empty() || cluster_.Job().step() < step) {
      ASSERT_TRUE(cluster_.StepOnce());
    }
  }
  void Stop(const std::string& id) {
    cluster_.leaving.insert(id);
    cluster_.Beat(id);
  }
  // As the node hears it now.
  bool MayGo(const std::string& id) {
    cluster_.may_go.clear();
    cluster_.Beat(id);
    return cluster_.may_go.contains(id);
  }
  // A copy is whole while a commit is on its way to the disk.
  void Fill(const std::string& id, uint32_t shard) {
    while (cluster_.writes.empty()) ASSERT_TRUE(cluster_.StepOnce());
    NodeReport report = cluster_.MakeReport(kJob, id);
    report.mutable_shard_filled()->set_shard(shard);
    ASSERT_TRUE(cluster_.Report(report).ok());
  }
  // A step whose numbers are not finite, nor are they when it is looked into.
  void Pause() {
    cluster_.edit = [](NodeReport& report) {
      if (!report.has_wafer_step() || report.wafer_step().loss_sum_size() == 0) return;
      WaferStep& step = *report.mutable_wafer_step();
      step.set_loss_sum(0, std::numeric_limits<double>::quiet_NaN());
      step.mutable_non_finite()->set_where("here");
    };
    cluster_.Settle();
    ASSERT_EQ(cluster_.Job().state(), PAUSED);
  }
  void ExpectUndisturbedEnd() {
    cluster_.Settle();
    EXPECT_EQ(cluster_.Job().state(), DONE) << cluster_.Job().reason();
    EXPECT_EQ(cluster_.Job().redone_steps(), 0u);
    EXPECT_EQ(cluster_.losses[kJob].size(), 8u);
  }

  FakeCluster cluster_;
  JobSpec job_;
};

TEST_F(LeavingTest, WhoHoldsNothingMayGoAtOnceAndGetsNoJob) {
  Stop("w1");
  EXPECT_TRUE(MayGo("w1"));
  EXPECT_FALSE(MayGo("w0")) << "nobody asked";
  EXPECT_TRUE(cluster_.Node("w1").draining());
  EXPECT_FALSE(cluster_.Node("w1").cordoned());
  EXPECT_EQ(cluster_.Node("w1").note(), "is stopping");
  cluster_.Submit(job_);
  cluster_.Settle();
  EXPECT_EQ(cluster_.Job().state(), QUEUED);
  EXPECT_EQ(cluster_.Job().reason(), "waiting for 1 more wafer node");
  // The next process under its id is a node like any other.
  cluster_.leaving.clear();
  ASSERT_TRUE(cluster_.AddNode("w1", WAFER, "avx2", /*incarnation=*/2).ok());
  EXPECT_EQ(cluster_.Node("w1").note(), "");
  ExpectUndisturbedEnd();
}

TEST_F(LeavingTest, AWaferLeavesAtTheNextStep) {
  RunToStep(1);
  Stop("w1");
  EXPECT_FALSE(MayGo("w1"));
  EXPECT_EQ(cluster_.Job().epoch(), 1u);  // not in the middle of a step
  RunToStep(2);
  EXPECT_THAT(cluster_.events, Contains("job-1-t: w1 leaves"));
  EXPECT_FALSE(MayGo("w1")) << "before it is released";
  cluster_.SettleCalls();
  EXPECT_TRUE(MayGo("w1"));
  cluster_.Pass(3.1, {"m0", "m1", "s0", "w0"});
  EXPECT_EQ(cluster_.Node("w1").state(), LOST);
  EXPECT_EQ(cluster_.Node("w1").note(), "was stopped");
  cluster_.leaving.clear();
  ASSERT_TRUE(cluster_.AddNode("w1", WAFER, "avx2", /*incarnation=*/2).ok());
  RunToStep(4);
  EXPECT_EQ(cluster_.Job().wafers(), 2u);
  ExpectUndisturbedEnd();
}

TEST_F(LeavingTest, ASwarmXNodeLeavesWhenThereIsAnother) {
  RunToStep(1);
  Stop("s0");
  RunToStep(2);
  cluster_.SettleCalls();
  EXPECT_FALSE(MayGo("s0")) << "nothing goes without one";
  ASSERT_TRUE(cluster_.AddNode("s1", SWARMX).ok());
  RunToStep(3);
  cluster_.SettleCalls();
  EXPECT_TRUE(MayGo("s0"));
  ExpectUndisturbedEnd();
}

TEST_F(LeavingTest, AMemoryXNodeLeavesWhenOthersHoldItsShards) {
  job_.mutable_cluster()->set_replicas(2);
  RunToStep(1);
  Stop("m0");
  RunToStep(2);
  cluster_.SettleCalls();
  EXPECT_TRUE(MayGo("m0"));
  ExpectUndisturbedEnd();
}

TEST_F(LeavingTest, OfTwoMemoryXNodesThatLeaveTheLastHolderStays) {
  job_.mutable_cluster()->set_replicas(2);
  RunToStep(1);
  Stop("m0");
  Stop("m1");
  RunToStep(2);
  cluster_.SettleCalls();
  EXPECT_FALSE(MayGo("m0"));
  EXPECT_TRUE(MayGo("m1"));
  ExpectUndisturbedEnd();
}

TEST_F(LeavingTest, WithoutReplicasItsShardsAreHandedOverFirst) {
  RunToStep(1);
  Stop("m0");
  RunToStep(2);
  cluster_.SettleCalls();
  EXPECT_FALSE(MayGo("m0"));
  EXPECT_THAT(cluster_.Prepared(kJob).at(0).shards(0).filling(), ElementsAre(0)) << "m1, the first";
  Fill("m1", 0);
  RunToStep(3);
  cluster_.SettleCalls();
  EXPECT_TRUE(MayGo("m0"));
  ExpectUndisturbedEnd();
}

TEST_F(LeavingTest, ASpareTakesTheShardsOfTheOnlyMemoryXNode) {
  job_.mutable_cluster()->set_memoryx(1);
  RunToStep(1);
  Stop("m0");
  RunToStep(2);
  cluster_.SettleCalls();
  EXPECT_FALSE(MayGo("m0"));
  Fill("m1", 0);
  RunToStep(3);
  cluster_.SettleCalls();
  EXPECT_TRUE(MayGo("m0"));
  ExpectUndisturbedEnd();
}

TEST_F(LeavingTest, WhatNobodyElseCanHoldStays) {
  job_.mutable_cluster()->set_wafers_min(2);
  Stop("m1");
  EXPECT_TRUE(MayGo("m1"));
  job_.mutable_cluster()->set_memoryx(1);
  RunToStep(1);
  Stop("m0");
  Stop("w0");
  RunToStep(4);
  cluster_.SettleCalls();
  EXPECT_FALSE(MayGo("m0"));
  EXPECT_FALSE(MayGo("w0"));
  EXPECT_EQ(cluster_.Job().epoch(), 1u);
  ExpectUndisturbedEnd();
  EXPECT_TRUE(MayGo("m0"));
}

TEST_F(LeavingTest, WhoCouldNotLeaveIsMissedByName) {
  job_.mutable_cluster()->set_wafers_min(2);
  RunToStep(1);
  cluster_.SettleCalls();
  Stop("w0");
  cluster_.Pass(3.1, {"m0", "m1", "s0", "w1"});
  EXPECT_THAT(cluster_.events, Contains("job-1-t: step 1: w0 was told to stop, and is gone; the "
                                        "step is done again"));
}

TEST_F(LeavingTest, AJobThatWaitsKeepsOnlyItsWeights) {
  RunToStep(1);
  cluster_.Pass(3.1, {"m0", "m1", "w0", "w1"});
  cluster_.SettleCalls();
  EXPECT_EQ(cluster_.Job().reason(), "waiting for 1 more SwarmX node");
  Stop("w1");
  Stop("m1");
  cluster_.SettleCalls();
  EXPECT_TRUE(MayGo("w1"));
  EXPECT_FALSE(MayGo("m1"));
}

TEST_F(LeavingTest, APausedJobKeepsOnlyWhatNobodyElseHolds) {
  job_.mutable_cluster()->set_replicas(2);
  RunToStep(1);
  Pause();
  Stop("m0");
  cluster_.SettleCalls();
  EXPECT_TRUE(MayGo("m0"));
  Stop("m1");
  cluster_.SettleCalls();
  EXPECT_FALSE(MayGo("m1"));
  cluster_.edit = nullptr;
  ASSERT_TRUE(cluster_.Resume(ResumeOf("r1")).ok());
  cluster_.Settle();
  EXPECT_EQ(cluster_.Job().state(), DONE);
  EXPECT_EQ(cluster_.losses[kJob].size(), 8u);
}

TEST_F(LeavingTest, AControllerThatComesBackHearsItFirst) {
  cluster_.leaving.insert("w1");
  ASSERT_TRUE(cluster_.AddNode("w1", WAFER).ok());
  cluster_.Submit(job_);
  cluster_.Settle();
  EXPECT_EQ(cluster_.Job().reason(), "waiting for 1 more wafer node");
}

TEST_F(LeavingTest, ALateRegistrationDoesNotUndoIt) {
  Stop("w1");
  cluster_.leaving.clear();
  ASSERT_TRUE(cluster_.AddNode("w1", WAFER).ok());  // the same process
  EXPECT_EQ(cluster_.Node("w1").note(), "is stopping");
  EXPECT_FALSE(MayGo("w1")) << "it does not say so itself";
}

}  // namespace
}  // namespace waferstream
