#include "controller/controller_core.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "controller/fake_cluster.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(ControllerCore, RunsAJobFromSubmitToItsLastCheckpoint) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(SmallJob());
  EXPECT_THAT(cluster.statuses, IsEmpty());  // not before it is durable
  cluster.Settle();
  ASSERT_TRUE(cluster.answers.at("request").ok());
  EXPECT_EQ(*cluster.answers.at("request"), "job-1-t");

  const JobStatus& job = cluster.Job();
  EXPECT_EQ(job.state(), DONE) << job.reason();
  EXPECT_EQ(job.step(), 3u);
  EXPECT_EQ(job.loss(), 2);
  EXPECT_THAT(cluster.losses["job-1-t"], ElementsAre(2, 2, 2));
  EXPECT_EQ(job.checkpoint(), "/checkpoints/3");
  EXPECT_EQ(job.checkpoint_step(), 3u);
  EXPECT_EQ(job.weights_hash(), "weights3");
  EXPECT_EQ(job.optimizer_hash(), "optimizer3");
  EXPECT_EQ(job.epoch(), 1u);
  EXPECT_EQ(job.kernel_isa(), "avx2");
  EXPECT_EQ(job.step_seconds(), 2);
  EXPECT_EQ(job.tokens_per_second(), 8 * 16 / 2.0);
  EXPECT_EQ(job.sram_peak_bytes(), 1001u);
  EXPECT_EQ(job.traffic_size(), 4);
  EXPECT_GT(job.sram_planned_bytes(), 0u);
  EXPECT_GT(job.parameters(), 0u);
  EXPECT_TRUE(AllIdle(cluster));
  EXPECT_THAT(cluster.events,
              ElementsAre("job-1-t: submitted",
                          "job-1-t: epoch 1: preparing 2 MemoryX, 1 SwarmX and 2 wafer nodes",
                          "job-1-t: running", "job-1-t: checkpoint after 2 steps: /checkpoints/2",
                          "job-1-t: checkpoint after 3 steps: /checkpoints/3", "job-1-t: done"));
}

TEST(ControllerCore, CallsComeInTheLegalOrder) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(SmallJob());
  cluster.Settle();
  const std::vector<std::string> kinds = {"Prepare", "Connect", "Start", "Commit", "Release"};
  for (size_t i = 0; i + 1 < kinds.size(); ++i) {
    EXPECT_LT(Where(cluster, kinds[i]).back(), Where(cluster, kinds[i + 1]).front()) << kinds[i];
  }
  for (const std::string kind : {"Prepare", "Connect", "Start", "Release"}) {
    EXPECT_EQ(Where(cluster, kind).size(), 5u) << kind;
  }
  EXPECT_EQ(Where(cluster, "Commit m").size(), 6u);  // MemoryX only
  EXPECT_EQ(Where(cluster, "Commit").size(), 6u);
  EXPECT_EQ(Where(cluster, "Seal m0").size(), 2u);
  for (uint64_t step = 0; step < 3; ++step) {
    EXPECT_LT(Where(cluster, absl::StrCat("commit ", step)).front(),
              Where(cluster, "Commit m0")[step]);
  }
}

TEST(ControllerCore, APhaseWaitsForEveryNode) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(SmallJob());
  cluster.Persist();
  EXPECT_THAT(cluster.calls, IsEmpty());  // not before the epoch's number is durable
  cluster.Persist();
  for (const std::string next : {"Connect", "Start", ""}) {
    ASSERT_EQ(cluster.calls.size(), 5u);
    for (int i = 0; i < 4; ++i) cluster.StepOnce();
    EXPECT_EQ(cluster.calls.size(), 1u);
    EXPECT_EQ(cluster.Job().state(), PREPARING);
    cluster.StepOnce();
    ASSERT_EQ(cluster.calls.empty(), next.empty());
    if (!next.empty()) {
      EXPECT_EQ(KindOf(cluster.calls.front().request), next);
    }
  }
  EXPECT_EQ(cluster.Job().state(), RUNNING);
}

TEST(ControllerCore, ACommitGoesOutOnlyWhenItsRecordIsDurable) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(SmallJob());
  cluster.SettleCalls();
  while (cluster.writes.empty()) ASSERT_TRUE(cluster.StepOnce());
  EXPECT_THAT(cluster.calls, IsEmpty());
  EXPECT_EQ(cluster.Job().step(), 0u);
  cluster.Persist();
  ASSERT_EQ(cluster.calls.size(), 2u);
  const auto& commit = std::get<CommitRequest>(cluster.calls.front().request);
  EXPECT_EQ(commit.step(), 0u);
  EXPECT_EQ(commit.learning_rate(), 1e-3);
  EXPECT_EQ(commit.clip_factor(), 1.0 / (3 + 1e-6));
  EXPECT_EQ(cluster.Job().step(), 1u);
}

TEST(ControllerCore, ACommitThatCannotBeRecordedPausesTheJob) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(SmallJob());
  cluster.SettleCalls();
  while (cluster.writes.empty()) ASSERT_TRUE(cluster.StepOnce());
  cluster.StoreTrouble("disk full");
  EXPECT_EQ(cluster.Job().state(), RUNNING);
  EXPECT_EQ(cluster.Job().reason(), "waits to be recorded: disk full");
  cluster.Persist(absl::UnavailableError("disk full"));
  EXPECT_EQ(cluster.Job().state(), PAUSED);
  EXPECT_EQ(cluster.Job().reason(), "step 0: cannot record the commit: disk full");
  cluster.Settle();
  EXPECT_EQ(Where(cluster, "Commit").size(), 0u);
  EXPECT_EQ(cluster.Node("m0").state(), BUSY);  // keeps the weights
  EXPECT_EQ(cluster.Node("w0").state(), IDLE);
  ASSERT_TRUE(cluster.Resume(ResumeOf("again")).ok());
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), DONE) << cluster.Job().reason();
  EXPECT_THAT(cluster.losses["job-1-t"],
              ElementsAre(2, 2, 2, 2));  // step 0 twice: it never went out
}

TEST(ControllerCore, ValidatesWhenDue) {
  JobSpec spec = SmallJob();
  spec.mutable_data()->set_validation("/data/val.bin");
  spec.mutable_training()->set_validate_every(2);
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(spec);
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), DONE) << cluster.Job().reason();
  EXPECT_TRUE(cluster.Job().has_val_loss());
  EXPECT_EQ(cluster.Job().val_loss(), 4);
  EXPECT_THAT(cluster.events, Contains("job-1-t: validation after 2 steps: loss 4"));
  EXPECT_THAT(cluster.events, Contains("job-1-t: validation after 3 steps: loss 4"));
}

TEST(ControllerCore, EndsWhenACallFailsAndNamesTheNode) {
  for (const std::string call : {"Prepare m0", "Prepare w1", "Connect s0", "Start w0"}) {
    FakeCluster cluster;
    cluster.failures[call] = absl::InvalidArgumentError("no such data");
    cluster.AddNodes();
    cluster.Submit(SmallJob());
    cluster.Settle();
    EXPECT_EQ(cluster.Job().state(), FAILED);
    const std::string kind = call.substr(0, call.find(' '));
    EXPECT_EQ(cluster.Job().reason(),
              absl::StrCat(kind, " on ", call.substr(kind.size() + 1), ": no such data"));
    EXPECT_EQ(Where(cluster, "Release").size(), 5u) << call;
    EXPECT_TRUE(AllIdle(cluster)) << call;
    // The cluster is as good as new.
    cluster.failures.clear();
    cluster.Submit(SmallJob(), "again");
    cluster.Settle();
    EXPECT_EQ(cluster.Job("job-2-t").state(), DONE);
  }
}

TEST(ControllerCore, DuplicateAndStaleReportsChangeNothing) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(SmallJob());
  cluster.SettleCalls();
  const std::vector<NodeReport> reports = cluster.NextReports("job-1-t");
  for (NodeReport report : reports) {
    report.set_epoch(0);  // what a node of an older epoch would say
    report.set_sequence(1000);
    ASSERT_TRUE(cluster.Report(report).ok());
    report.set_epoch(1);
    report.set_job_id("job-0-t");
    ASSERT_TRUE(cluster.Report(report).ok());
  }
  EXPECT_THAT(cluster.writes, IsEmpty());
  for (size_t i = 0; i + 1 < reports.size(); ++i) {
    ASSERT_TRUE(cluster.Report(reports[i]).ok());
    ASSERT_TRUE(cluster.Report(reports[i]).ok());
  }
  EXPECT_THAT(cluster.writes, IsEmpty());
  ASSERT_TRUE(cluster.Report(reports.back()).ok());
  ASSERT_TRUE(cluster.Report(reports.back()).ok());
  EXPECT_EQ(cluster.writes.size(), 1u);
  EXPECT_EQ(cluster.Job().state(), RUNNING);
}

TEST(ControllerCore, AReportOfAnUnknownNodeAsksItToRegister) {
  FakeCluster cluster;
  EXPECT_TRUE(absl::IsNotFound(cluster.Report(cluster.MakeReport("job-1-t", "w9"))));
}

TEST(ControllerCore, AFailedCheckpointIsAnEventUnlessItIsTheLast) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(SmallJob());
  cluster.failures["Seal m0"] = absl::DataLossError("hash differs");
  cluster.Persist();
  while (cluster.Job().step() < 3) ASSERT_TRUE(cluster.StepOnce());
  EXPECT_THAT(cluster.events, Contains("job-1-t: checkpoint after 2 steps failed: SealCheckpoint "
                                       "on m0: hash differs"));
  EXPECT_EQ(cluster.Job().state(), RUNNING);
  EXPECT_EQ(cluster.Job().checkpoint(), "");
  for (int i = 0; i < 5; ++i) {
    cluster.Settle();
    cluster.Pass(1);
  }
  // It was tried three times; the weights are still where they are.
  EXPECT_EQ(cluster.Job().state(), PAUSED);
  EXPECT_EQ(cluster.Job().reason(),
            "checkpoint after 3 steps failed: SealCheckpoint on m0: hash differs; make room for "
            "it, then resume");
  EXPECT_EQ(cluster.Node("m0").state(), BUSY);
  cluster.failures.clear();
  ASSERT_TRUE(cluster.Resume(ResumeOf("again")).ok());
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), DONE);
  EXPECT_EQ(cluster.Job().checkpoint(), "/checkpoints/3");
  EXPECT_TRUE(AllIdle(cluster));
}

// Sealing removes what is older: what the store says that there is must not be among it.
TEST(ControllerCore, TheNextCheckpointIsSealedWhenTheLastIsOnRecord) {
  JobSpec job = SmallJob();
  job.mutable_checkpoint()->set_every(1);
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(job);
  // m1 writes its parts later than the steps are done.
  cluster.edit = [](NodeReport& report) {
    if (report.node_id() == "m1" && report.has_checkpoint_written()) report.mutable_shard_filled();
  };
  while (cluster.statuses.empty() || cluster.Job().step() < 2) ASSERT_TRUE(cluster.StepOnce());
  cluster.SettleCalls();
  ASSERT_EQ(Where(cluster, "Seal").size(), 0u);
  for (const uint64_t steps : {1, 2}) {
    for (const char* node : {"m0", "m1"}) {
      NodeReport report = cluster.MakeReport("job-1-t", node);
      report.mutable_checkpoint_written()->set_steps_done(steps);
      ASSERT_TRUE(cluster.Report(report).ok());
    }
  }
  EXPECT_EQ(Where(cluster, "Seal").size(), 1u);  // of both that are written
  ASSERT_EQ(cluster.calls.size(), 1u);
  const NodeCall first = cluster.calls.front();
  cluster.calls.pop_front();
  cluster.Answer(first);
  EXPECT_EQ(cluster.Job().checkpoint_step(), 1u);
  EXPECT_EQ(Where(cluster, "Seal").size(), 1u);  // it is not on record yet
  cluster.Persist();
  ASSERT_EQ(cluster.calls.size(), 1u);
  EXPECT_EQ(std::get<SealRequest>(cluster.calls[0].request).steps_done(), 2u);
  EXPECT_EQ(std::get<SealRequest>(cluster.calls[0].request).known_steps(), 1u);
}

TEST(ControllerCore, APartThatCannotBeWrittenIsNeverSealed) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(SmallJob());
  while (cluster.statuses.empty() || cluster.Job().step() < 2) ASSERT_TRUE(cluster.StepOnce());
  cluster.SettleCalls();
  for (const char* node : {"m1", "m0"}) {
    NodeReport report = cluster.MakeReport("job-1-t", node);
    report.mutable_checkpoint_written()->set_steps_done(2);
    if (std::string(node) == "m1") report.mutable_checkpoint_written()->set_error("disk full");
    ASSERT_TRUE(cluster.Report(report).ok());
  }
  EXPECT_THAT(cluster.events, Contains("job-1-t: checkpoint after 2 steps failed: m1: disk full"));
  EXPECT_THAT(Where(cluster, "Seal"), IsEmpty());
  EXPECT_EQ(cluster.Job().state(), RUNNING);
}

// -- queue ----------------------------------------------------------------------------------------

TEST(ControllerCore, AJobWaitsForAllItsNodesAndSaysForWhich) {
  FakeCluster cluster;
  cluster.Submit(SmallJob());
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), QUEUED);
  EXPECT_EQ(cluster.Job().reason(),
            "waiting for 2 more MemoryX nodes and 1 more SwarmX node and 2 more wafer nodes");
  for (const char* id : {"m0", "m1"}) ASSERT_TRUE(cluster.AddNode(id, MEMORYX).ok());
  ASSERT_TRUE(cluster.AddNode("s0", SWARMX).ok());
  ASSERT_TRUE(cluster.AddNode("w0", WAFER).ok());
  EXPECT_EQ(cluster.Job().reason(), "waiting for 1 more wafer node");
  ASSERT_TRUE(cluster.AddNode("w1", WAFER, "avx512").ok());
  EXPECT_EQ(cluster.Job().reason(),
            "waiting for 1 more wafer node (all wafers of a job need the same kernel_isa)");
  EXPECT_THAT(cluster.calls, IsEmpty());
  ASSERT_TRUE(cluster.AddNode("w2", WAFER, "avx512").ok());
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), DONE);
  EXPECT_EQ(cluster.Job().kernel_isa(), "avx512");
  EXPECT_THAT(cluster.history, Not(Contains("Prepare w0")));
}

TEST(ControllerCore, JobsRunInTheOrderOfTheirSubmission) {
  FakeCluster cluster;
  JobSpec large = SmallJob();
  large.mutable_cluster()->set_wafers(4);
  JobSpec small = SmallJob();
  small.mutable_cluster()->set_wafers(1);
  small.mutable_cluster()->set_memoryx(1);
  cluster.AddNodes();
  cluster.Submit(large, "large");
  cluster.Submit(small, "small");
  cluster.Settle();
  EXPECT_EQ(cluster.Job("job-1-t").reason(), "waiting for 2 more wafer nodes");
  EXPECT_EQ(cluster.Job("job-2-t").state(), QUEUED);  // it would fit, but does not overtake
  EXPECT_EQ(cluster.Job("job-2-t").reason(), "waiting behind job-1-t in the queue");
  cluster.Cancel("job-1-t");
  EXPECT_EQ(cluster.Job("job-1-t").state(), CANCELLED);
  cluster.Settle();
  EXPECT_EQ(cluster.Job("job-2-t").state(), DONE);
}

TEST(ControllerCore, AReleaseThatGotNoAnswerIsSentAgainAtTheNextHeartbeat) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.failures["Release w1"] = absl::UnavailableError("connection reset");
  cluster.Submit(SmallJob());
  cluster.Settle();
  ASSERT_EQ(cluster.Job().state(), DONE);
  EXPECT_EQ(Where(cluster, "Release").size(), 5u);
  EXPECT_EQ(cluster.Node("w1").state(), BUSY);
  cluster.failures.clear();
  cluster.Pass(0.1);
  cluster.SettleCalls();
  EXPECT_EQ(Where(cluster, "Release").size(), 6u);
  EXPECT_EQ(cluster.Node("w1").state(), IDLE);
}

// Its successor is lost as well, and it comes back before the answer to its first Release does.
TEST(ControllerCore, AnAnswerToAProcessThatCameBackIsNotCountedTwice) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.holds["w1"] = EpochOf("j-000009", 2);
  cluster.Pass(0.1);
  cluster.holds.clear();
  ASSERT_EQ(Where(cluster, "Release w1").size(), 1u);
  ASSERT_EQ(cluster.calls.size(), 1u);
  const NodeCall release = cluster.calls.front();
  cluster.calls.clear();
  ASSERT_TRUE(cluster.AddNode("w1", WAFER, "avx2", /*incarnation=*/2).ok());
  cluster.Pass(10, {"w0"});
  ASSERT_EQ(cluster.Node("w1").state(), LOST);
  ASSERT_TRUE(cluster.AddNode("w1", WAFER, "avx2", /*incarnation=*/1).ok());
  cluster.Answer(release);
  EXPECT_EQ(cluster.Node("w1").state(), IDLE);
  // It is asked one thing at a time, as ever.
  for (const uint32_t epoch : {3, 4}) {
    cluster.holds["w1"] = EpochOf("j-000009", epoch);
    cluster.Pass(0.1, {"w1"});
  }
  EXPECT_EQ(Where(cluster, "Release w1").size(), 2u);
}

// The Prepare was meant for the process before, whose successor answered at the same address before
// it had registered: nothing that this controller did tells it that the new one holds anything.
TEST(ControllerCore, WhatANodeSaysThatItHoldsIsReleasedUntilItSaysSoNoMore) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.holds["w1"] = EpochOf("j-000009", 2);
  ASSERT_TRUE(cluster.AddNode("w1", WAFER, "avx2", /*incarnation=*/2).ok());
  EXPECT_EQ(cluster.Node("w1").state(), BUSY);
  cluster.failures["Release w1"] = absl::DeadlineExceededError("swallowed");
  cluster.SettleCalls();
  cluster.Pass(1);
  cluster.SettleCalls();
  EXPECT_EQ(cluster.Node("w1").state(), BUSY);
  EXPECT_GE(Where(cluster, "Release w1").size(), 2u);
  cluster.failures.clear();
  cluster.holds.clear();
  cluster.Pass(0.1);
  cluster.SettleCalls();
  EXPECT_EQ(cluster.Node("w1").state(), IDLE);
  const size_t calls = cluster.history.size();
  cluster.Pass(1);
  EXPECT_EQ(cluster.history.size(), calls);
}

// Whatever its node may hold beside, a job's own epoch is never released while it runs.
TEST(ControllerCore, AJobIsNotDisturbedByWhatItsNodesHold) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(SmallJob());
  cluster.SettleCalls();
  for (const char* id : {"m0", "m1", "s0", "w0"}) cluster.holds[id] = EpochOf("job-1-t", 1);
  cluster.holds["w1"] = EpochOf("j-000009", 7);  // said before the Prepare was served
  cluster.Pass(0.2);
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), DONE);
  EXPECT_EQ(cluster.Job().epoch(), 1u);
  // Said after the end, it is released again; what is not held any more, is not.
  cluster.holds.clear();
  cluster.Pass(0.2);
  cluster.Settle();
  EXPECT_TRUE(AllIdle(cluster));
}

TEST(ControllerCore, TheNextJobGetsANodeOnlyAfterItsRelease) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(SmallJob(), "one");
  cluster.Submit(SmallJob(), "two");
  while (cluster.statuses.count("job-1-t") == 0 || cluster.Job().state() != DONE) {
    ASSERT_TRUE(cluster.StepOnce());
  }
  EXPECT_EQ(Where(cluster, "Release").size(), 5u);
  EXPECT_EQ(Where(cluster, "Prepare").size(), 5u);
  while (!cluster.writes.empty()) cluster.StepOnce();  // the last checkpoint's record
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(cluster.Job("job-2-t").state(), QUEUED);
    cluster.StepOnce();
  }
  EXPECT_EQ(cluster.Job("job-2-t").state(), PREPARING);
}

TEST(ControllerCore, TwoJobsRunSideBySideWhenThereIsRoom) {
  FakeCluster cluster;
  cluster.AddNodes();
  for (const char* id : {"m2", "m3"}) ASSERT_TRUE(cluster.AddNode(id, MEMORYX).ok());
  ASSERT_TRUE(cluster.AddNode("s1", SWARMX).ok());
  for (const char* id : {"w2", "w3"}) ASSERT_TRUE(cluster.AddNode(id, WAFER).ok());
  cluster.Submit(SmallJob(), "one");
  cluster.Submit(SmallJob(), "two");
  cluster.SettleCalls();
  EXPECT_EQ(cluster.Job("job-1-t").state(), RUNNING);
  EXPECT_EQ(cluster.Job("job-2-t").state(), RUNNING);
  cluster.Settle();
  EXPECT_EQ(cluster.Job("job-1-t").state(), DONE);
  EXPECT_EQ(cluster.Job("job-2-t").state(), DONE);
}

TEST(ControllerCore, TheSameRequestIsTheSameJob) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(SmallJob(), "one");
  cluster.Submit(SmallJob(), "one");  // while the first is being recorded
  EXPECT_EQ(cluster.writes.size(), 1u);
  cluster.Settle();
  cluster.Submit(SmallJob(), "one");  // long after
  cluster.Settle();
  EXPECT_EQ(*cluster.answers.at("one"), "job-1-t");
  EXPECT_EQ(cluster.statuses.size(), 1u);
}

TEST(ControllerCore, TheSameRequestWithAnotherJobIsRefused) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(SmallJob(), "one");
  cluster.Settle();
  JobSpec other = SmallJob();
  other.mutable_training()->set_seed(99);
  cluster.Submit(other, "one");
  EXPECT_EQ(cluster.answers.at("one").status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(cluster.answers.at("one").status().message(), HasSubstr("training.seed"));
  EXPECT_EQ(cluster.statuses.size(), 1u);
}

TEST(ControllerCore, AJobThatCannotBeRecordedIsRefused) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(SmallJob(), "one");
  cluster.Persist(absl::UnavailableError("disk full"));
  EXPECT_EQ(cluster.answers.at("one").status(),
            absl::UnavailableError("cannot record the job: disk full"));
  EXPECT_THAT(cluster.statuses, IsEmpty());
  cluster.Submit(SmallJob(), "one");  // tried again
  cluster.Settle();
  EXPECT_EQ(*cluster.answers.at("one"), "job-2-t");
}

TEST(ControllerCore, RegisteringTwiceChangesNothing) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(SmallJob());
  cluster.SettleCalls();
  cluster.AddNodes();
  EXPECT_EQ(cluster.Node("w0").state(), BUSY);
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), DONE);
}

// -- a restarted controller -----------------------------------------------------------------------

RestoredJob Restored(uint64_t number, JobState state, absl::StatusOr<AdmittedJob> job) {
  RestoredJob restored{.record = {}, .job = std::move(job), .commits = {}};
  restored.record.number = number;
  restored.record.request_id = absl::StrCat("request-", number);
  JobStatus& status = restored.record.status;
  status.set_job_id(absl::StrCat("job-", number, "-t"));
  status.set_state(state);
  status.set_steps(3);
  status.set_epoch(state == QUEUED ? 0 : 1);
  *status.mutable_job() = SmallJob();
  return restored;
}

AdmittedJob Admitted() {
  AdmittedJob job;
  job.plan = *Compile(SmallJob(), RequestedShape(SmallJob()));
  return job;
}

TEST(ControllerCore, ARestartKeepsWhatWaited) {
  RestoredState state;
  state.jobs.push_back(Restored(1, DONE, absl::UnknownError("")));
  state.jobs.push_back(Restored(4, QUEUED, Admitted()));
  state.jobs.push_back(Restored(5, QUEUED, absl::InvalidArgumentError("model.layers: 0")));
  FakeCluster cluster(std::move(state));
  EXPECT_EQ(cluster.Job("job-1-t").state(), DONE);
  EXPECT_EQ(cluster.Job("job-4-t").state(), QUEUED);
  EXPECT_EQ(cluster.Job("job-5-t").reason(), "model.layers: 0");
  cluster.AddNodes();
  cluster.Settle();
  EXPECT_EQ(cluster.Job("job-4-t").state(), DONE);

  cluster.Submit(SmallJob(), "request-1");
  EXPECT_EQ(*cluster.answers.at("request-1"), "job-1-t");
  cluster.Submit(SmallJob(), "new");
  cluster.Settle();
  EXPECT_EQ(*cluster.answers.at("new"), "job-6-t");
}

}  // namespace
}  // namespace waferstream
