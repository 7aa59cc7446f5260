#include "controller/scheduler.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "controller/fake_cluster.h"

namespace waferstream {
namespace {

QueuedJob Queued(const std::string& id) {
  QueuedJob job;
  job.record.status.set_job_id(id);
  return job;
}

TEST(Scheduler, EveryoneKnowsWhyItWaits) {
  Scheduler scheduler;
  scheduler.Add(Queued("a"));
  scheduler.Add(Queued("b"));
  const std::vector<JobStatus> changed = scheduler.Explain({}, "waiting for 1 more wafer node");
  ASSERT_EQ(changed.size(), 2u);
  EXPECT_EQ(changed[0].reason(), "waiting for 1 more wafer node");
  EXPECT_EQ(changed[1].reason(), "waiting behind a in the queue");
  EXPECT_TRUE(scheduler.Explain({}, "waiting for 1 more wafer node").empty());  // no news
  EXPECT_TRUE(scheduler.Remove("a").has_value());
  EXPECT_FALSE(scheduler.Remove("a").has_value());
  EXPECT_EQ(scheduler.Head({})->record.status.job_id(), "b");
}

TEST(Scheduler, NobodyGrowsWhileSomebodyWaits) {
  Scheduler scheduler;
  MemberNeeds needs;
  scheduler.Bound("", 2, {}, needs);
  EXPECT_EQ(needs.wafers_most, 0);
  scheduler.Add(Queued("a"));
  scheduler.Bound("", 2, {}, needs);
  EXPECT_EQ(needs.wafers_most, 2);
}

QueuedJob JobOf(const std::string& user, const std::string& id, uint32_t wafers,
                uint32_t wafers_min = 0) {
  QueuedJob job = Queued(id);
  job.record.status.set_user(user);
  ClusterSpec& cluster = *job.record.status.mutable_job()->mutable_cluster();
  cluster.set_wafers(wafers);
  cluster.set_wafers_min(wafers_min);
  return job;
}

TEST(Scheduler, WhoseQuotaIsUsedUpWaitsBesideTheQueue) {
  Scheduler scheduler;
  scheduler.SetQuotas({{"ada", {.wafers = 4}}});
  scheduler.Add(JobOf("ada", "a", 2));
  scheduler.Add(JobOf("bob", "b", 8));
  EXPECT_EQ(scheduler.Head({{"ada", 2}, {"bob", 100}})->record.status.job_id(), "a");
  const WafersByUser used = {{"ada", 3}};
  EXPECT_EQ(scheduler.Head(used)->record.status.job_id(), "b");
  const std::vector<JobStatus> changed = scheduler.Explain(used, "waiting for wafers");
  ASSERT_EQ(changed.size(), 2u);
  EXPECT_EQ(changed[0].reason(), "waiting for the quota of ada: 3 of 4 wafers taken");
  EXPECT_EQ(changed[1].reason(), "waiting for wafers");
  scheduler.Remove("b");
  EXPECT_EQ(scheduler.Head(used), nullptr);
  scheduler.SetQuotas({});
  EXPECT_EQ(scheduler.Head(used)->record.status.job_id(), "a");
}

TEST(Scheduler, AnElasticJobStartsWithWhatTheQuotaLeaves) {
  Scheduler scheduler;
  scheduler.SetQuotas({{"ada", {.wafers = 4}}});
  scheduler.Add(JobOf("ada", "a", 8, 2));
  EXPECT_EQ(scheduler.Head({{"ada", 3}}), nullptr);
  ASSERT_NE(scheduler.Head({{"ada", 2}}), nullptr);
  MemberNeeds needs;
  scheduler.BoundNew("ada", {{"ada", 2}}, needs);
  EXPECT_EQ(needs.wafers_most, 2);
}

TEST(Scheduler, NobodyGrowsBeyondTheQuotaNorIsAnythingTakenAway) {
  Scheduler scheduler;
  scheduler.SetQuotas({{"ada", {.wafers = 4}}});
  const auto most = [&](const std::string& user, const WafersByUser& used) {
    MemberNeeds needs;
    scheduler.Bound(user, 2, used, needs);
    return needs.wafers_most;
  };
  EXPECT_EQ(most("ada", {{"ada", 3}}), 3);
  EXPECT_EQ(most("ada", {{"ada", 4}}), 2);
  EXPECT_EQ(most("ada", {{"ada", 9}}), 2);
  EXPECT_EQ(most("bob", {{"ada", 9}, {"bob", 2}}), 0) << "no bound";
}

TEST(Scheduler, AQueueTakesAsManyOfAUserAsMayWait) {
  Scheduler scheduler;
  scheduler.SetQuotas({{"ada", {.wafers = 4, .queued = 2}}});
  EXPECT_EQ(scheduler.MayAdd("ada", 5, 0).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(scheduler.MayAdd("ada", 4, 1), absl::OkStatus());
  scheduler.Add(JobOf("ada", "a", 2));
  EXPECT_EQ(scheduler.MayAdd("ada", 4, 0), absl::OkStatus());
  EXPECT_EQ(scheduler.MayAdd("ada", 4, 1).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(scheduler.MayAdd("bob", 400, 1), absl::OkStatus());
}

// -- with the core -------------------------------------------------------------------------------

JobSpec Job(const std::string& name, int wafers, int wafers_min, int steps) {
  JobSpec job = SmallJob();
  job.set_name(name);
  job.mutable_training()->set_steps(steps);
  job.mutable_cluster()->set_memoryx(1);
  job.mutable_cluster()->set_wafers(wafers);
  job.mutable_cluster()->set_wafers_min(wafers_min);
  return job;
}

void ToStep(FakeCluster& cluster, const std::string& job, uint64_t step) {
  while (cluster.Job(job).step() < step) ASSERT_TRUE(cluster.StepOnce());
}

class Starvation : public testing::Test {
 protected:
  // An elastic job runs on the only wafer; behind it a gang of two waits.
  void SetUp() override {
    for (const char* id : {"m0", "m1"}) ASSERT_TRUE(cluster_.AddNode(id, MEMORYX).ok());
    for (const char* id : {"s0", "s1"}) ASSERT_TRUE(cluster_.AddNode(id, SWARMX).ok());
    ASSERT_TRUE(cluster_.AddNode("w0", WAFER).ok());
    cluster_.Submit(Job("elastic", 4, 1, 12));
    cluster_.Persist();
    ToStep(cluster_, kElastic, 1);
    cluster_.Submit(Job("gang", 2, 0, 2), "gang");
    cluster_.SettleCalls();
    ASSERT_EQ(cluster_.Job(kGang).reason(), "waiting for 2 more wafer nodes");
  }

  static constexpr const char* kElastic = "job-1-t";
  static constexpr const char* kGang = "job-2-t";
  FakeCluster cluster_;
};

TEST_F(Starvation, NodesThatComeOneByOneAreGatheredForTheHeadOfTheQueue) {
  ASSERT_TRUE(cluster_.AddNode("w1", WAFER).ok());
  ToStep(cluster_, kElastic, 4);
  EXPECT_EQ(cluster_.Job(kElastic).wafers(), 1u);  // it would have taken w1
  EXPECT_EQ(cluster_.Job(kGang).reason(), "waiting for 1 more wafer node");
  ASSERT_TRUE(cluster_.AddNode("w2", WAFER).ok());
  cluster_.SettleCalls();
  EXPECT_EQ(cluster_.Job(kGang).state(), RUNNING);
  cluster_.Settle();
  EXPECT_EQ(cluster_.Job(kGang).state(), DONE);
  EXPECT_EQ(cluster_.Job(kElastic).state(), DONE);
  EXPECT_EQ(cluster_.losses[kElastic].size(), 12u);
}

TEST_F(Starvation, WhatIsLostIsReplaced) {
  ASSERT_TRUE(cluster_.AddNode("w1", WAFER).ok());
  ASSERT_TRUE(cluster_.AddNode("w0", WAFER, "avx2", /*incarnation=*/2).ok());  // it was restarted
  ToStep(cluster_, kElastic, 4);
  EXPECT_EQ(cluster_.Job(kElastic).wafers(), 1u);
  EXPECT_EQ(cluster_.Job(kGang).state(), QUEUED);
}

TEST_F(Starvation, WhoGoesOutOfTheQueueLetsTheOthersGrow) {
  ASSERT_TRUE(cluster_.AddNode("w1", WAFER).ok());
  ToStep(cluster_, kElastic, 3);
  cluster_.Cancel(kGang);
  ToStep(cluster_, kElastic, 5);
  EXPECT_EQ(cluster_.Job(kElastic).wafers(), 2u);
}

// Both of Ada's jobs fit the cluster, and one of them her quota.
TEST(Quotas, TheSecondJobOfAUserWaitsForTheFirst) {
  FakeCluster cluster;
  for (const char* id : {"m0", "m1", "m2"}) ASSERT_TRUE(cluster.AddNode(id, MEMORYX).ok());
  for (const char* id : {"s0", "s1", "s2"}) ASSERT_TRUE(cluster.AddNode(id, SWARMX).ok());
  for (const char* id : {"w0", "w1", "w2"}) ASSERT_TRUE(cluster.AddNode(id, WAFER).ok());
  cluster.SetQuotas({{"ada", {.wafers = 1, .queued = 1}}});
  cluster.user = "ada";
  cluster.Submit(Job("first", 1, 0, 3), "first");
  cluster.SettleCalls();
  cluster.Submit(Job("second", 1, 0, 3), "second");
  cluster.SettleCalls();
  EXPECT_EQ(cluster.Job("job-1-t").user(), "ada");
  EXPECT_EQ(cluster.Job("job-1-t").state(), RUNNING);
  EXPECT_EQ(cluster.Job("job-2-t").state(), QUEUED);
  EXPECT_EQ(cluster.Job("job-2-t").reason(), "waiting for the quota of ada: 1 of 1 wafers taken");
  cluster.Submit(Job("third", 1, 0, 3), "third");
  EXPECT_EQ(cluster.answers.at("third").status().code(), absl::StatusCode::kResourceExhausted);
  cluster.Submit(Job("large", 2, 0, 3), "large");
  EXPECT_EQ(cluster.answers.at("large").status().code(), absl::StatusCode::kInvalidArgument);
  cluster.user = "bob";
  cluster.Submit(Job("other", 1, 0, 3), "other");
  cluster.SettleCalls();
  EXPECT_EQ(cluster.Job("job-5-t").state(), RUNNING) << "it does not wait for Ada's quota";
  cluster.SetQuotas({{"ada", {.wafers = 2}}});
  cluster.SettleCalls();
  EXPECT_EQ(cluster.Job("job-2-t").state(), RUNNING) << "more, from now on";
  cluster.Settle();
  for (const char* job : {"job-1-t", "job-2-t", "job-5-t"}) {
    EXPECT_EQ(cluster.Job(job).state(), DONE);
  }
}

// Two jobs run beside each other; then each loses what the other one still holds.
class Entangled : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* id : {"m0", "m1"}) ASSERT_TRUE(cluster_.AddNode(id, MEMORYX).ok());
    for (const char* id : {"s0", "s1"}) ASSERT_TRUE(cluster_.AddNode(id, SWARMX).ok());
    for (const char* id : {"w0", "w1", "w2"}) ASSERT_TRUE(cluster_.AddNode(id, WAFER).ok());
    cluster_.Submit(Job("older", 2, 2, 12));
    cluster_.Persist();
    ToStep(cluster_, kOlder, 1);
    cluster_.Submit(Job("younger", 1, 1, 12), "younger");
    cluster_.SettleCalls();
    ASSERT_EQ(cluster_.Node("s1").job_id(), kYounger);
    ASSERT_EQ(cluster_.Node("w2").job_id(), kYounger);
  }
  // Time passes, and only these are heard of.
  void PassWithout(const std::set<std::string>& lost, double seconds) {
    std::vector<std::string> alive;
    for (const char* id : {"m0", "m1", "s0", "s1", "w0", "w1", "w2"}) {
      if (!lost.contains(id)) alive.push_back(id);
    }
    for (; seconds > 0; seconds -= 0.5) {
      cluster_.Pass(0.5, alive);
      cluster_.SettleCalls();
    }
  }
  void ExpectBothEnd() {
    cluster_.Settle();
    for (const char* job : {kOlder, kYounger}) {
      EXPECT_EQ(cluster_.Job(job).state(), DONE) << cluster_.Job(job).reason();
      EXPECT_EQ(cluster_.losses[job].size(), 12u);
    }
  }

  static constexpr const char* kOlder = "job-1-t";
  static constexpr const char* kYounger = "job-2-t";
  FakeCluster cluster_;
};

TEST_F(Entangled, TheOlderOneGetsWhatTheYoungerOneDoesNotUse) {
  PassWithout({"s0", "w2"}, 3);
  EXPECT_EQ(cluster_.Job(kOlder).state(), RUNNING);
  EXPECT_EQ(cluster_.Node("s1").job_id(), kOlder);
  EXPECT_EQ(cluster_.Node("m1").job_id(), kYounger) << "its shards stay";
  EXPECT_EQ(cluster_.Job(kYounger).state(), PREPARING);
  ExpectBothEnd();
}

TEST_F(Entangled, ShardsGoOnceTheirJobWouldDoWithoutThem) {
  PassWithout({"m0", "w2"}, 3);
  EXPECT_EQ(cluster_.Node("m1").job_id(), kYounger);
  EXPECT_EQ(cluster_.Job(kOlder).state(), PREPARING);
  PassWithout({"m0", "w2"}, 60);
  JobMemory last;  // on record, of the younger one
  EXPECT_EQ(cluster_.Job(kOlder).state(), RUNNING);
  EXPECT_EQ(cluster_.Node("m1").job_id(), kOlder);
  for (const JobRecord& record : cluster_.records) {
    if (record.status.job_id() == kYounger) last = record.memory;
  }
  for (const JobMemory::Member& member : last.members()) {
    EXPECT_NE(member.node_id(), "m1") << "a restarted controller would take it back";
  }
  ExpectBothEnd();
}

// Whoever runs keeps what it has.
TEST_F(Entangled, NothingIsTakenFromAJobThatRuns) {
  PassWithout({"s0"}, 60);
  EXPECT_EQ(cluster_.Job(kYounger).state(), RUNNING);
  EXPECT_EQ(cluster_.Job(kOlder).state(), PREPARING);
  ExpectBothEnd();
}

}  // namespace
}  // namespace waferstream
