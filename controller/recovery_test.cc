// What a job does when its nodes, its numbers or its controller fail; on a scripted cluster.
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/version.h"
#include "controller/controller_core.h"
#include "controller/fake_cluster.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const char* const kJob = "job-1-t";

JobSpec Replicated() {
  JobSpec job = SmallJob();
  job.mutable_cluster()->set_replicas(2);
  return job;
}

// Runs until a step is committed.
void RunToStep(FakeCluster& cluster, uint64_t step) {
  while (cluster.statuses.empty() || cluster.Job().step() < step) ASSERT_TRUE(cluster.StepOnce());
}

TEST(Recovery, TheNextEpochBeginsAtTheLastCommitAndTellsIt) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(SmallJob());
  RunToStep(cluster, 1);
  cluster.Pass(3.1, {"m0", "m1", "s0", "w0"});
  cluster.SettleCalls();
  const std::vector<PrepareRequest> prepares = cluster.Prepared(kJob);
  ASSERT_EQ(prepares.size(), 4u);
  for (const PrepareRequest& prepare : prepares) {
    EXPECT_EQ(prepare.epoch(), 2u);
    EXPECT_EQ(prepare.start_step(), 1u);
    EXPECT_TRUE(prepare.keep());
    EXPECT_EQ(prepare.last_commit().step(), 0u);
    EXPECT_EQ(prepare.last_commit().learning_rate(), 1e-3);
    EXPECT_EQ(prepare.roster().wafers_size(), 1);
  }
}

// The node is lost while the commit is on its way to the disk: it is history all the same.
TEST(Recovery, ACommitThatIsBeingRecordedIsWaitedFor) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(SmallJob());
  cluster.SettleCalls();
  while (cluster.writes.empty()) ASSERT_TRUE(cluster.StepOnce());
  cluster.Pass(3.1, {"m0", "m1", "s0", "w0"});
  EXPECT_EQ(cluster.Job().epoch(), 1u);
  cluster.SettleCalls();
  EXPECT_EQ(cluster.Job().epoch(), 2u);
  EXPECT_EQ(cluster.Prepared(kJob).at(0).start_step(), 1u);
  cluster.Settle();
  EXPECT_THAT(cluster.losses[kJob], ElementsAre(2, 2, 2));
}

// A replicated job has done a step; m1 is another process now, and fills both shards.
void ReplaceM1(FakeCluster& cluster) {
  cluster.AddNodes();
  cluster.Submit(Replicated());
  RunToStep(cluster, 1);
  ASSERT_TRUE(cluster.AddNode("m1", MEMORYX, "", /*incarnation=*/2).ok());
  cluster.SettleCalls();
}

TEST(Recovery, ASecondOwnerStreamsOn) {
  FakeCluster cluster;
  ReplaceM1(cluster);
  const PrepareRequest prepare = cluster.Prepared(kJob).at(0);
  EXPECT_TRUE(prepare.keep());
  EXPECT_EQ(prepare.roster().memoryx_size(), 2);
  for (const ShardOwners& shard : prepare.shards()) {
    EXPECT_THAT(shard.owners(), ElementsAre(0));
    EXPECT_THAT(shard.filling(), ElementsAre(1));
  }
  // Filled, it is as good as the other: m0 may go.
  for (uint32_t shard : {0u, 1u}) {
    NodeReport report = cluster.MakeReport(kJob, "m1");
    report.mutable_shard_filled()->set_shard(shard);
    ASSERT_TRUE(cluster.Report(report).ok());
  }
  EXPECT_THAT(cluster.events, Contains("job-1-t: m1 now holds a copy of shard 1"));
  ASSERT_TRUE(cluster.AddNode("m0", MEMORYX, "", /*incarnation=*/2).ok());
  cluster.SettleCalls();
  EXPECT_TRUE(cluster.Prepared(kJob).at(0).keep());
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), DONE);
  EXPECT_THAT(cluster.losses[kJob], ElementsAre(2, 2, 2));
}

// A wafer is lost in the middle of it.
// It may have gradients of the step, of an epoch that never committed it: they are not those.
TEST(Recovery, WhoWasAwayWhenAStepWasCommittedIsFilledAnew) {
  JobSpec job = Replicated();
  job.mutable_training()->set_steps(6);
  for (const uint64_t steps_away : {1, 2}) {
    FakeCluster cluster;
    cluster.AddNodes();
    cluster.Submit(job);
    RunToStep(cluster, 1);
    cluster.Pass(3.1, {"m0", "s0", "w0", "w1"});
    cluster.SettleCalls();
    ASSERT_EQ(cluster.Prepared(kJob).at(0).roster().memoryx_size(), 1);
    RunToStep(cluster, 1 + steps_away);
    ASSERT_TRUE(cluster.AddNode("m1", MEMORYX).ok());  // the same process
    RunToStep(cluster, 4);
    cluster.SettleCalls();
    const PrepareRequest prepare = cluster.Prepared(kJob).at(0);
    ASSERT_EQ(prepare.roster().memoryx_size(), 2);
    EXPECT_TRUE(prepare.keep());
    for (const ShardOwners& shard : prepare.shards()) {
      EXPECT_EQ(shard.owners_size(), 1);
      EXPECT_EQ(shard.filling_size(), 1);
    }
  }
}

TEST(Recovery, AnInterruptedFillGoesOnWhereItWas) {
  FakeCluster cluster;
  ReplaceM1(cluster);
  EXPECT_THAT(cluster.Prepared(kJob).at(0).shards(1).filled_tiles(), ElementsAre(0));
  NodeReport report = cluster.MakeReport(kJob, "m1");
  report.mutable_shard_filling()->set_shard(1);
  report.mutable_shard_filling()->set_tiles(5);
  ASSERT_TRUE(cluster.Report(report).ok());
  ASSERT_TRUE(cluster.AddNode("w1", WAFER, "avx2", /*incarnation=*/2).ok());
  cluster.SettleCalls();
  for (const PrepareRequest& prepare : cluster.Prepared(kJob)) {
    EXPECT_EQ(prepare.epoch(), 3u);
    EXPECT_THAT(prepare.shards(0).filled_tiles(), ElementsAre(0));
    EXPECT_THAT(prepare.shards(1).filling(), ElementsAre(1));
    EXPECT_THAT(prepare.shards(1).filled_tiles(), ElementsAre(5));  // both ends are told
  }
  // A controller that comes back knows it, too.
  ASSERT_EQ(cluster.records.back().memory.fills_size(), 1);
  EXPECT_EQ(cluster.records.back().memory.fills(0).tiles(), 5u);
  // Another process holds nothing.
  ASSERT_TRUE(cluster.AddNode("m1", MEMORYX, "", /*incarnation=*/3).ok());
  cluster.SettleCalls();
  cluster.Pass(5);  // attempts without progress are made at a growing distance
  cluster.SettleCalls();
  EXPECT_THAT(cluster.Prepared(kJob).at(0).shards(1).filled_tiles(), ElementsAre(0));
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), DONE);
}

// It says that it has not what we thought: it begins again.
TEST(Recovery, AFillThatIsDeniedBeginsAgain) {
  FakeCluster cluster;
  ReplaceM1(cluster);
  NodeReport report = cluster.MakeReport(kJob, "m1");
  report.mutable_shard_filling()->set_tiles(5);
  ASSERT_TRUE(cluster.Report(report).ok());
  cluster.failures["Prepare m1"] = absl::FailedPreconditionError("does not hold 5 tiles");
  ASSERT_TRUE(cluster.AddNode("w1", WAFER, "avx2", /*incarnation=*/2).ok());
  cluster.SettleCalls();
  cluster.failures.clear();
  cluster.Pass(5);
  cluster.SettleCalls();
  EXPECT_THAT(cluster.Prepared(kJob).at(0).shards(0).filled_tiles(), ElementsAre(0));
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), DONE);
}

TEST(Recovery, DamagedCopiesAreFilledAnew) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(Replicated());
  RunToStep(cluster, 1);
  NodeReport report = cluster.MakeReport(kJob, "m0");
  report.mutable_fault()->set_message("tile 3 is damaged");
  report.mutable_fault()->add_damaged_shards(1);
  ASSERT_TRUE(cluster.Report(report).ok());
  cluster.SettleCalls();
  const PrepareRequest prepare = cluster.Prepared(kJob).at(0);
  EXPECT_THAT(prepare.shards(1).owners(), ElementsAre(1));
  EXPECT_THAT(prepare.shards(1).filling(), ElementsAre(0));
  EXPECT_EQ(prepare.shards(0).filling_size(), 0);
}

// m0 is lost for longer than the job waits: everything since the checkpoint is done again.
TEST(Recovery, GoesBackToTheCheckpointWhenAShardIsLost) {
  JobSpec job = SmallJob();
  job.mutable_training()->set_steps(5);
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(job);
  RunToStep(cluster, 3);
  while (cluster.Job().checkpoint_step() < 2) ASSERT_TRUE(cluster.StepOnce());
  const uint64_t step = cluster.Job().step();
  ASSERT_GE(step, 3u);
  cluster.Pass(3.1, {"m1", "s0", "w0", "w1"});
  EXPECT_THAT(cluster.Job().reason(), "waiting for m0 with shard 0");
  cluster.Pass(9.1, {"m1", "s0", "w0", "w1"});
  EXPECT_EQ(cluster.Job().step(), 2u);
  EXPECT_THAT(cluster.history, Contains("rewind to 2"));
  cluster.SettleCalls();
  const PrepareRequest prepare = cluster.Prepared(kJob).at(0);
  EXPECT_FALSE(prepare.keep());
  EXPECT_EQ(prepare.restore(), "/checkpoints/2");
  EXPECT_EQ(prepare.start_step(), 2u);
  EXPECT_EQ(prepare.shards_size(), 2);
  EXPECT_EQ(prepare.roster().memoryx_size(), 1);
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), DONE);
  EXPECT_THAT(cluster.losses[kJob], ElementsAre(2, 2, 2, 2, 2));
  for (const std::string& event : cluster.events) EXPECT_THAT(event, Not(HasSubstr("different")));
}

TEST(Recovery, AHolderThatWasOnlySlowSavesTheWayBack) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(SmallJob());
  RunToStep(cluster, 1);
  cluster.Pass(3.1, {"m1", "s0", "w0", "w1"});
  ASSERT_TRUE(cluster.AddNode("m0", MEMORYX).ok());
  cluster.SettleCalls();
  EXPECT_TRUE(cluster.Prepared(kJob).at(0).keep());
  EXPECT_EQ(cluster.Prepared(kJob).at(0).start_step(), 1u);
}

TEST(Recovery, AMemoryXNodeThatKnowsNothingIsBelieved) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(SmallJob());
  RunToStep(cluster, 1);
  cluster.failures["Prepare m0"] = absl::FailedPreconditionError("does not hold shard 0");
  cluster.Pass(3.1, {"m0", "m1", "s0", "w0"});
  cluster.StepOnce();  // the epoch's record
  while (!cluster.calls.empty()) {
    if (cluster.Job().epoch() > 2) cluster.failures.clear();
    cluster.StepOnce();
  }
  cluster.failures.clear();
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), DONE) << cluster.Job().reason();
  EXPECT_THAT(cluster.history, Contains("rewind to 0"));
}

TEST(Recovery, WafersComeAndGoAtTheNextStep) {
  JobSpec job = SmallJob();
  job.mutable_training()->set_steps(6);
  job.mutable_cluster()->set_wafers(3);
  job.mutable_cluster()->set_wafers_min(1);
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(job);
  RunToStep(cluster, 1);
  EXPECT_EQ(cluster.Job().wafers(), 2u);
  ASSERT_TRUE(cluster.AddNode("w2", WAFER).ok());
  EXPECT_EQ(cluster.Job().epoch(), 1u);  // not in the middle of a step
  RunToStep(cluster, 2);
  EXPECT_EQ(cluster.Job().wafers(), 3u);
  EXPECT_EQ(cluster.Job().epoch(), 2u);
  EXPECT_THAT(cluster.events, Contains("job-1-t: w2 joins"));
  ASSERT_TRUE(cluster.Cordon("w0", CordonRequest::DRAIN).ok());
  RunToStep(cluster, 3);
  EXPECT_EQ(cluster.Job().wafers(), 2u);
  EXPECT_THAT(cluster.events, Contains("job-1-t: w0 leaves"));
  cluster.SettleCalls();
  EXPECT_EQ(cluster.Node("w0").state(), IDLE);
  EXPECT_TRUE(cluster.Node("w0").draining());
  ASSERT_TRUE(cluster.Cordon("w0", CordonRequest::UNCORDON).ok());
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), DONE);
  EXPECT_EQ(cluster.Job().wafers(), 3u);
  EXPECT_EQ(cluster.losses[kJob].size(), 6u);
  EXPECT_TRUE(absl::IsNotFound(cluster.Cordon("w9", CordonRequest::CORDON)));
  EXPECT_TRUE(absl::IsInvalidArgument(cluster.Cordon("w0", static_cast<CordonRequest::Action>(7))));
}

// -- bad numbers ---------------------------------------------------------------------------------

TEST(Recovery, NumbersThatAreNotFiniteAreLookedForAndPauseTheJob) {
  for (const bool model : {true, false}) {
    FakeCluster cluster;
    cluster.edit = [&](NodeReport& report) {
      if (!report.has_wafer_step() || report.wafer_step().loss_sum_size() == 0) return;
      if (report.epoch() > 2 || (report.epoch() == 2 && !model)) return;
      WaferStep& step = *report.mutable_wafer_step();
      step.set_loss_sum(5, std::numeric_limits<double>::quiet_NaN());
      if (report.epoch() == 1) return;
      step.mutable_non_finite()->set_micro_batch(5);
      step.mutable_non_finite()->set_where("forward, h.1.mlp.c_fc.weight (tile 3)");
    };
    cluster.AddNodes();
    cluster.Submit(SmallJob());
    cluster.Settle();
    EXPECT_EQ(cluster.Job().state(), PAUSED);
    EXPECT_EQ(cluster.Job().step(), 0u);
    EXPECT_EQ(cluster.Job().reason(),
              model
                  ? "step 0: loss is not finite in micro-batch 5 (on w0); computed again on other "
                    "wafers, it comes out like that too: it is the model; first in forward, "
                    "h.1.mlp.c_fc.weight (tile 3), micro-batch 5, on w1. Resume as it is, with "
                    "another learning rate, or without this batch"
                  : "step 0: loss is not finite in micro-batch 5 (on w0); computed again on other "
                    "wafers, all numbers are finite: it was the machine. Resume as it is, with "
                    "another learning rate, or without this batch");
    const std::vector<PrepareRequest> prepares = cluster.Prepared(kJob);
    EXPECT_TRUE(prepares.at(0).diagnose());
    EXPECT_EQ(prepares.at(0).roster().wafers(0).node_id(), "w1");  // on another wafer
    EXPECT_THAT(cluster.history, Not(Contains("commit 0")));

    ResumeRequest resume = ResumeOf("r1");
    const double infinity = std::numeric_limits<double>::infinity();
    for (const double bad : {-1.0, infinity, infinity - infinity}) {
      resume.set_lr(bad);
      EXPECT_TRUE(absl::IsInvalidArgument(cluster.Resume(resume))) << bad;
    }
    resume.clear_lr();
    resume.set_lr(1e-4);
    resume.set_skip_batch(true);
    ASSERT_TRUE(cluster.Resume(resume).ok());
    ASSERT_TRUE(cluster.Resume(resume).ok());  // asked twice: once
    ResumeRequest changed = resume;
    changed.set_lr(1e-3);
    EXPECT_EQ(cluster.Resume(changed).code(), absl::StatusCode::kAlreadyExists);
    EXPECT_THAT(cluster.Resume(changed).message(),
                HasSubstr("r1 resumed job-1-t with learning rate 0.0001 without the batch before"));
    cluster.Settle();
    EXPECT_EQ(cluster.Job().state(), DONE);
    ASSERT_EQ(cluster.Job().job().training().amendments_size(), 1);
    EXPECT_EQ(cluster.Job().job().training().amendments(0).lr(), 1e-4);
    EXPECT_TRUE(cluster.Job().job().training().amendments(0).skip_batch());
    EXPECT_TRUE(absl::IsFailedPrecondition(cluster.Resume(ResumeOf("r2"))));
  }
}

// The checkpoint's record fails while the next step's commit waits behind it: that step was done
// with the old learning rate, so the new one is of the step after it.
TEST(Recovery, AnAmendmentIsOfTheFirstStepThatIsNotOnItsWayToTheDisk) {
  JobSpec job = SmallJob();
  job.mutable_checkpoint()->set_every(1);
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(job);
  cluster.SettleCalls();
  while (true) {
    while (cluster.writes.empty()) ASSERT_TRUE(cluster.StepOnce());
    for (const NodeReport& report : cluster.NextReports(kJob)) {
      ASSERT_TRUE(cluster.Report(report).ok());
    }
    if (cluster.writes.size() > 1) break;
    cluster.Persist();
  }
  const uint64_t step = cluster.Job().step();
  cluster.Persist(absl::UnavailableError("disk full"));
  ASSERT_EQ(cluster.Job().state(), PAUSED) << cluster.Job().reason();
  ASSERT_EQ(cluster.commits.back().step, step) << "waits behind the record";
  ResumeRequest resume = ResumeOf("calmer");
  resume.set_lr(1e-4);
  ASSERT_TRUE(cluster.Resume(resume).ok());
  EXPECT_EQ(cluster.Job().job().training().amendments(0).from_step(), step + 1);
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), DONE) << cluster.Job().reason();
  for (const CommitRecord& commit : cluster.commits) {
    EXPECT_EQ(commit.learning_rate, commit.step <= step ? 1e-3 : 1e-4) << commit.step;
  }
}

// -- lying machines ------------------------------------------------------------------------------

// Every wafer votes about micro-batch 3; the liar's hash is its own.
void Vote(FakeCluster& cluster, const std::string& liar, uint32_t until_epoch) {
  cluster.edit = [=](NodeReport& report) {
    if (!report.has_wafer_step() || report.wafer_step().step() != 1) return;
    MicroBatchHash* vote = report.mutable_wafer_step()->add_hashes();
    vote->set_micro_batch(3);
    vote->set_hash(report.node_id() == liar && report.epoch() <= until_epoch ? 666 : 7);
  };
}

TEST(Recovery, ALiarIsFoundAndCordoned) {
  for (const uint32_t until_epoch : {1u, 100u}) {  // once, or whenever it is asked
    JobSpec job = SmallJob();
    job.mutable_cluster()->set_wafers(3);
    FakeCluster cluster;
    Vote(cluster, "w1", until_epoch);
    cluster.AddNodes();
    ASSERT_TRUE(cluster.AddNode("w2", WAFER).ok());
    cluster.Submit(job);
    cluster.Settle();
    EXPECT_EQ(cluster.Job().state(), DONE) << cluster.Job().reason();
    EXPECT_TRUE(cluster.Node("w1").cordoned());
    EXPECT_THAT(cluster.Node("w1").note(), HasSubstr("micro-batch 3 of step 1 is"));
    EXPECT_FALSE(cluster.Node("w0").cordoned());
    EXPECT_THAT(cluster.events, Contains(HasSubstr("w1 computed wrong and is cordoned")));
    EXPECT_EQ(cluster.Job().wafers(), 2u);
    EXPECT_THAT(cluster.losses[kJob], ElementsAre(2, 2, 2));
  }
}

// While it is paused, the step in dispute gets another batch: all hashes are others then.
TEST(Recovery, ADisputeAboutAStepThatIsAmendedIsForgotten) {
  JobSpec job = SmallJob();
  job.mutable_cluster()->set_wafers(3);
  FakeCluster cluster;
  Vote(cluster, "w1", 1);
  cluster.AddNodes();
  ASSERT_TRUE(cluster.AddNode("w2", WAFER).ok());
  cluster.Submit(job);
  cluster.SettleCalls();
  while (cluster.Job().epoch() < 2) ASSERT_TRUE(cluster.StepOnce());
  ASSERT_THAT(cluster.events, Contains(HasSubstr("micro-batch 3 came out different")));
  cluster.Persist(absl::UnavailableError("disk full"));
  ASSERT_EQ(cluster.Job().state(), PAUSED) << cluster.Job().reason();
  cluster.edit = [](NodeReport& report) {
    if (!report.has_wafer_step() || report.wafer_step().step() != 1) return;
    MicroBatchHash* vote = report.mutable_wafer_step()->add_hashes();
    vote->set_micro_batch(3);
    vote->set_hash(8);
  };
  ResumeRequest resume = ResumeOf("other batch");
  resume.set_skip_batch(true);
  ASSERT_TRUE(cluster.Resume(resume).ok());
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), DONE) << cluster.Job().reason();
  for (const char* wafer : {"w0", "w1", "w2"}) EXPECT_FALSE(cluster.Node(wafer).cordoned());
}

TEST(Recovery, TwoWafersCannotSettleALastingDispute) {
  FakeCluster cluster;
  Vote(cluster, "w1", 100);
  cluster.AddNodes();
  cluster.Submit(SmallJob());
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), PAUSED);
  EXPECT_THAT(cluster.Job().reason(), HasSubstr("came out different on every wafer"));
  EXPECT_EQ(cluster.Job().step(), 1u);
  ASSERT_TRUE(cluster.Resume(ResumeOf("r1")).ok());
  cluster.Settle();
  ASSERT_EQ(cluster.Job().state(), PAUSED);
  ASSERT_TRUE(cluster.Cordon("w1", CordonRequest::DRAIN).ok());
  ASSERT_TRUE(cluster.Resume(ResumeOf("r1")).ok());  // of the first pause, and late
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), PAUSED);
  ASSERT_TRUE(cluster.Resume(ResumeOf("r2")).ok());
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), DONE);
}

// -- the controller ------------------------------------------------------------------------------

RestoredState RunningAtStep1() {
  RestoredJob job{.record = {}, .job = absl::UnknownError("not queued"), .commits = {}};
  job.record.number = 1;
  job.record.request_id = "request";
  JobStatus& status = job.record.status;
  status.set_job_id(kJob);
  status.set_state(RUNNING);
  status.set_step(1);
  status.set_steps(3);
  status.set_epoch(4);
  status.set_kernel_isa("avx2");
  status.set_numerics(Numerics());
  *status.mutable_job() = SmallJob();
  for (const char* id : {"m0", "m1", "s0", "w0", "w1"}) {
    JobMemory::Member* member = job.record.memory.add_members();
    member->set_node_id(id);
    member->set_incarnation(1);
  }
  for (int m = 0; m < 2; ++m) {
    JobMemory::Holding* holding = job.record.memory.add_holdings();
    holding->set_node_id(absl::StrCat("m", m));
    holding->set_incarnation(1);
    holding->add_shards(m);
  }
  job.commits.push_back({kJob, 0, 2, 3, 0.25, 1e-3});
  RestoredState state;
  state.jobs.push_back(std::move(job));
  return state;
}

TEST(Recovery, ARestartedControllerGoesOnAtTheLastCommit) {
  FakeCluster cluster(RunningAtStep1());
  EXPECT_EQ(cluster.Job().state(), PREPARING);
  EXPECT_EQ(cluster.Job().reason(), "the controller was restarted");
  for (const char* id : {"m0", "m1", "s0", "w0"}) {
    ASSERT_TRUE(cluster.AddNode(id, id[0] == 'm' ? MEMORYX : id[0] == 's' ? SWARMX : WAFER).ok());
    cluster.SettleCalls();
    EXPECT_EQ(cluster.Job().epoch(), 4u);  // w1 is still awaited
  }
  ASSERT_TRUE(cluster.AddNode("w1", WAFER).ok());
  cluster.SettleCalls();
  const PrepareRequest prepare = cluster.Prepared(kJob).at(0);
  EXPECT_EQ(prepare.epoch(), 5u);
  EXPECT_TRUE(prepare.keep());
  EXPECT_EQ(prepare.start_step(), 1u);
  EXPECT_EQ(prepare.last_commit().clip_factor(), 0.25);
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), DONE);
}

TEST(Recovery, ARestartedControllerDoesNotWaitForeverForAMember) {
  FakeCluster cluster(RunningAtStep1());
  for (const char* id : {"m0", "m1"}) ASSERT_TRUE(cluster.AddNode(id, MEMORYX).ok());
  ASSERT_TRUE(cluster.AddNode("s0", SWARMX).ok());
  ASSERT_TRUE(cluster.AddNode("w0", WAFER).ok());
  cluster.Pass(8.9);
  EXPECT_EQ(cluster.Job().epoch(), 4u);
  cluster.Pass(0.3);
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), DONE);
  EXPECT_EQ(cluster.Job().wafers(), 1u);
}

// All leases seem to have run out, but it was the controller that was away.
TEST(Recovery, AControllerThatWasStoppedDoesNotBlameItsNodes) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(SmallJob());
  RunToStep(cluster, 1);
  cluster.now_s += 60;
  cluster.Pass(0.1);
  EXPECT_EQ(cluster.Job().epoch(), 1u);
  EXPECT_EQ(cluster.Node("w0").state(), BUSY);
}

}  // namespace
}  // namespace waferstream
