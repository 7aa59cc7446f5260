// What a job's status says in each state, after a restart of its controller and after a resume; on
// a scripted cluster.
#include <string>
#include <utility>

#include "base/version.h"
#include "controller/controller_core.h"
#include "controller/fake_cluster.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

void RunToStep(FakeCluster& cluster, uint64_t step) {
  while (cluster.statuses.empty() || cluster.Job().step() < step) ASSERT_TRUE(cluster.StepOnce());
}

// What a controller finds that is started after this one was killed.
RestoredState KilledAt(const FakeCluster& cluster) {
  RestoredJob job{.record = cluster.records.back(),
                  .job = absl::UnknownError("not queued"),
                  .commits = cluster.commits};
  // As JobStore::LoadJobs does.
  if (!cluster.commits.empty()) {
    job.record.status.set_step(cluster.commits.back().step + 1);
    job.record.status.set_loss(cluster.commits.back().loss);
  }
  RestoredState state;
  state.jobs.push_back(std::move(job));
  return state;
}

TEST(JobFacts, SecondsCountTheWorkAndTheDowntimeButNoPause) {
  FakeCluster first;
  first.Submit(SmallJob());
  first.Settle();
  first.Pass(50);  // nobody is there yet
  EXPECT_EQ(first.Job().seconds(), 0);
  first.AddNodes();
  first.SettleCalls();
  first.Pass(10);
  RunToStep(first, 1);
  EXPECT_NEAR(first.Job().seconds(), 10, 1e-6);

  // Killed, and 30 seconds later another one is there.
  FakeCluster second(KilledAt(first), first.now_s + 30);
  EXPECT_NEAR(second.Job().seconds(), 40, 1e-6);
  second.AddNodes();
  second.SettleCalls();
  second.Pass(5);
  RunToStep(second, 2);
  EXPECT_NEAR(second.Job().seconds(), 45, 1e-6);
  second.Settle();
  EXPECT_EQ(second.Job().state(), DONE);
  EXPECT_NEAR(second.Job().seconds(), 45, 1e-6);
  second.Pass(100);
  EXPECT_NEAR(second.Job().seconds(), 45, 1e-6);
  EXPECT_NEAR(second.records.back().memory.seconds(), 45, 1e-6);
  EXPECT_EQ(second.records.back().memory.since_unix_s(), 0);
}

TEST(JobFacts, APauseStopsTheClockAndKeepsWhatIsKnown) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(SmallJob());
  RunToStep(cluster, 1);
  cluster.Pass(7);
  // The commit of the second step cannot be recorded.
  while (cluster.commits.size() < 2) ASSERT_TRUE(cluster.StepOnce());
  cluster.Persist(absl::UnavailableError("the disk is full"));
  cluster.commits.pop_back();
  ASSERT_EQ(cluster.Job().state(), PAUSED);
  EXPECT_NEAR(cluster.Job().seconds(), 7, 1e-6);
  EXPECT_TRUE(cluster.Job().has_loss());
  EXPECT_GT(cluster.Job().tokens_per_second(), 0);
  cluster.Pass(1000);
  // A controller that comes back later finds it like that.
  FakeCluster later(KilledAt(cluster), cluster.now_s + 1000);
  EXPECT_EQ(later.Job().state(), PAUSED);
  EXPECT_NEAR(later.Job().seconds(), 7, 1e-6);
  ASSERT_TRUE(cluster.Resume(ResumeOf("r1")).ok());
  cluster.SettleCalls();
  cluster.Pass(3);
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), DONE);
  EXPECT_NEAR(cluster.Job().seconds(), 10, 1e-6);
}

TEST(JobFacts, RatesSurviveTheController) {
  FakeCluster first;
  first.AddNodes();
  first.Submit(SmallJob());
  RunToStep(first, 2);
  const JobStatus before = first.Job();
  ASSERT_EQ(before.step_seconds(), 2);
  FakeCluster second(KilledAt(first), first.now_s + 30);
  const JobStatus& after = second.Job();
  EXPECT_EQ(after.step_seconds(), before.step_seconds());
  EXPECT_EQ(after.tokens_per_second(), before.tokens_per_second());
  EXPECT_EQ(after.exposed_stream_fraction(), before.exposed_stream_fraction());
  EXPECT_EQ(after.seconds_left(), before.seconds_left());
  EXPECT_EQ(after.loss(), before.loss());
  // And one slow step after it is one of three.
  second.edit = [](NodeReport& report) {
    if (report.has_wafer_step()) report.mutable_wafer_step()->set_step_seconds(100);
  };
  second.AddNodes();
  second.Settle();
  ASSERT_EQ(second.Job().state(), DONE);
  EXPECT_EQ(second.Job().step_seconds(), 2);
}

uint64_t SramOn(const JobSpec& job, uint32_t wafers) {
  JobSpec on = job;
  on.mutable_cluster()->set_wafers(wafers);
  on.mutable_cluster()->set_wafers_min(1);
  return Compile(on, RequestedShape(on))->sram.bytes;
}

// The peak is over all epochs, and so is what it is compared with.
TEST(JobFacts, ThePlannedSramIsOfTheEpochThatNeedsMost) {
  FakeCluster cluster;
  cluster.AddNodes();
  JobSpec job = SmallJob();
  job.mutable_cluster()->set_wafers_min(1);
  job.mutable_training()->set_steps(12);
  ASSERT_LT(SramOn(job, 2), SramOn(job, 1));
  cluster.Submit(job);
  RunToStep(cluster, 1);
  EXPECT_EQ(cluster.Job().sram_planned_bytes(), SramOn(job, 2));
  ASSERT_TRUE(cluster.Cordon("w1", CordonRequest::DRAIN).ok());
  RunToStep(cluster, 3);
  ASSERT_EQ(cluster.Job().wafers(), 1u);
  EXPECT_EQ(cluster.Job().sram_planned_bytes(), SramOn(job, 1));
  ASSERT_TRUE(cluster.Cordon("w1", CordonRequest::UNCORDON).ok());
  cluster.Settle();
  ASSERT_EQ(cluster.Job().state(), DONE);
  EXPECT_EQ(cluster.Job().wafers(), 2u);
  EXPECT_EQ(cluster.Job().sram_planned_bytes(), SramOn(job, 1));
}

TEST(JobFacts, GoingBackForgetsTheLossToo) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(SmallJob());
  RunToStep(cluster, 1);
  EXPECT_TRUE(cluster.Job().has_loss());
  // Both weights are gone, and there is no checkpoint yet.
  for (const char* id : {"m0", "m1"}) ASSERT_TRUE(cluster.AddNode(id, MEMORYX, "", 2).ok());
  cluster.Pass(10);
  cluster.SettleCalls();
  ASSERT_EQ(cluster.Job().step(), 0u);
  EXPECT_FALSE(cluster.Job().has_loss());
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), DONE);
}

TEST(JobFacts, AResumedJobHasNoLossBeforeItsFirstStep) {
  FakeCluster cluster;
  cluster.AddNodes();
  AdmittedJob admitted;
  admitted.start_step = 1;
  admitted.kernel_isa = "avx2";
  admitted.notes = {"it is so"};
  cluster.Submit(SmallJob(), "request", std::move(admitted));
  cluster.SettleCalls();
  EXPECT_EQ(cluster.Job().state(), RUNNING);
  EXPECT_EQ(cluster.Job().step(), 1u);
  EXPECT_EQ(cluster.Job().first_step(), 1u);
  EXPECT_EQ(cluster.Job().build(), Version());
  EXPECT_FALSE(cluster.Job().has_loss());
  EXPECT_THAT(cluster.events, ::testing::Contains(HasSubstr("it is so")));
  EXPECT_EQ(cluster.Prepared(cluster.Job().job_id()).at(0).kernel_isa(), "avx2");
  cluster.Settle();
  EXPECT_THAT(cluster.losses[cluster.Job().job_id()], ElementsAre(2, 2)) << "from first_step on";
}

TEST(JobFacts, WafersThatComputeOtherwiseThanTheCheckpointFailTheJobAtOnce) {
  FakeCluster cluster;
  AdmittedJob admitted;
  admitted.start_step = 1;
  admitted.kernel_isa = "avx512";
  cluster.Submit(SmallJob(), "request", std::move(admitted));
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), QUEUED);
  cluster.AddNodes();
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), FAILED);
  EXPECT_THAT(cluster.Job().reason(), HasSubstr("computed with avx512"));
  EXPECT_THAT(cluster.Job().reason(), HasSubstr("compute with avx2"));
  EXPECT_TRUE(AllIdle(cluster));
}

TEST(JobFacts, AJobPausesWhenOnlyWafersOfAnotherKindAreLeft) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(SmallJob());
  RunToStep(cluster, 1);
  for (const char* id : {"w0", "w1"}) {
    ASSERT_TRUE(cluster.AddNode(id, WAFER, "avx512", /*incarnation=*/2).ok());
  }
  cluster.Pass(10);
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), PAUSED);
  EXPECT_THAT(cluster.Job().reason(), HasSubstr("computed with avx2"));
  // As before, it goes on.
  for (const char* id : {"w0", "w1"}) {
    ASSERT_TRUE(cluster.AddNode(id, WAFER, "avx2", /*incarnation=*/3).ok());
  }
  ASSERT_TRUE(cluster.Resume(ResumeOf("r1")).ok());
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), DONE);
}

// A job of this numerics and version, some steps after a checkpoint, whose controller is another
// now.
RestoredState AfterThreeSteps(uint32_t numerics) {
  FakeCluster first;
  first.AddNodes();
  JobSpec job = SmallJob();
  job.mutable_training()->set_steps(5);
  first.Submit(job);
  RunToStep(first, 3);
  RestoredState state = KilledAt(first);
  state.jobs[0].record.status.set_build("0.0.1");
  state.jobs[0].record.status.set_numerics(numerics);
  return state;
}

TEST(JobFacts, AnotherBuildOfTheSameNumericsGoesOn) {
  for (const uint32_t numerics : {Numerics(), 0U}) {  // 0: a record of before there was a number
    if (numerics == 0 && Numerics() != 1) continue;
    FakeCluster second(AfterThreeSteps(numerics), 200);
    second.AddNodes();
    second.Settle();
    ASSERT_EQ(second.Job().state(), DONE) << second.Job().reason();
    EXPECT_EQ(second.Job().build(), "0.0.1") << "whom it was submitted to";
    EXPECT_EQ(second.Job().job().checkpoint().accepted_size(), 0);
  }
}

TEST(JobFacts, OtherNumericsGoOnOnlyWhenToldToFromTheCheckpoint) {
  FakeCluster second(AfterThreeSteps(99), 200);
  second.Pass(10);
  second.Settle();
  ASSERT_EQ(second.Job().state(), PAUSED) << "and no node is needed to say so";
  EXPECT_THAT(second.Job().reason(), HasSubstr("numerics: the job was computed with 99"));
  EXPECT_THAT(second.Job().reason(), HasSubstr(Version()));
  EXPECT_THAT(second.Job().reason(), HasSubstr("from /checkpoints/2"));
  second.AddNodes();
  ASSERT_TRUE(second.Resume(ResumeOf("r1")).ok());
  second.Settle();
  ASSERT_EQ(second.Job().state(), DONE) << second.Job().reason();
  EXPECT_EQ(second.Job().numerics(), Numerics());
  EXPECT_EQ(Where(second, "rewind to 2").size(), 1u);
  ASSERT_EQ(second.Job().job().checkpoint().accepted_size(), 1);
  EXPECT_EQ(second.Job().job().checkpoint().accepted(0).key(), "numerics");
  EXPECT_EQ(second.Job().job().checkpoint().accepted(0).from_step(), 2u);
  EXPECT_EQ(second.Prepared(second.Job().job_id()).at(0).numerics(), Numerics());
}

TEST(JobFacts, NodesOfOtherNumericsAreNotTakenAndTheJobSaysSo) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(SmallJob());
  RunToStep(cluster, 1);
  cluster.numerics = Numerics() + 1;
  for (const char* id : {"w0", "w1"}) {
    ASSERT_TRUE(cluster.AddNode(id, WAFER, "avx2", /*incarnation=*/2).ok());
  }
  cluster.Pass(10);
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), PREPARING);
  EXPECT_THAT(cluster.Job().reason(), HasSubstr("waiting for 1 more wafer node (w0 of version"));
  EXPECT_THAT(cluster.Job().reason(), HasSubstr("and 1 more has numerics"));
  EXPECT_THAT(cluster.Job().reason(), HasSubstr("upgrade the controller too"));
  cluster.numerics = Numerics();
  ASSERT_TRUE(cluster.AddNode("w0", WAFER, "avx2", /*incarnation=*/3).ok());
  cluster.Settle();
  EXPECT_EQ(cluster.Job().state(), DONE) << cluster.Job().reason();
}

}  // namespace
}  // namespace waferstream
