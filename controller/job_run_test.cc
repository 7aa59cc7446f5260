#include "controller/job_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "controller/test_run.h"

namespace waferstream {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Kind = EpochEnd::Kind;

constexpr double kLease = 3;

class JobRunTest : public testing::Test {
 protected:
  void Begin() {
    status_.set_job_id("j");
    status_.set_epoch(4);
    run_.emplace(JobRun::Setup{plan_, terms_, Roster(), RunMembers(), kLease}, status_,
                 statistics_);
    NewTurn();
    run_->Begin(turn_);
  }
  void NewTurn() {
    turn_ = RunTurn();
    turn_.now.steady_s = now_s_;
  }
  // One node's answer to the call of this phase.
  void Answer(int process, const NodeRequest& request,
              const absl::Status& status = absl::OkStatus()) {
    NewTurn();
    run_->OnCallDone(process, request, status, Empty(), turn_);
  }
  void AnswerAll(const NodeRequest& request) {
    for (const int process : {kM0, kM1, kS0, kW0, kW1}) Answer(process, request);
  }
  void BeginStreaming() {
    Begin();
    AnswerAll(PrepareRequest());
    AnswerAll(ConnectCall());
    AnswerAll(StartCall());
    ASSERT_EQ(status_.state(), RUNNING);
  }
  void Report(int process, NodeReport report) {
    report.set_sequence(sequence_++);
    NewTurn();
    run_->OnReport(process, report, turn_);
  }
  void ReportAll(uint64_t step) {
    for (const auto& [process, report] : StepReports(step, 1)) Report(process, report);
  }
  void Fault(int process, const std::string& peer, const std::string& message = "cut") {
    NodeReport report;
    report.mutable_fault()->set_message(message);
    report.mutable_fault()->set_peer(peer);
    Report(process, report);
  }
  void ExpectEnd(Kind kind, const std::string& reason, const std::string& suspect = "") {
    ASSERT_TRUE(run_->end().has_value());
    EXPECT_EQ(run_->end()->kind, kind);
    EXPECT_EQ(run_->end()->reason, reason);
    EXPECT_EQ(run_->end()->suspect, suspect);
    EXPECT_THAT(turn_.calls, IsEmpty());
    EXPECT_FALSE(run_->deadline_s().has_value());
  }
  template <class Request>
  std::vector<int> Called() const {
    std::vector<int> processes;
    for (const RunTurn::Call& call : turn_.calls) {
      if (std::holds_alternative<Request>(call.request)) processes.push_back(call.process);
    }
    EXPECT_EQ(processes.size(), turn_.calls.size());
    return processes;
  }

  Plan plan_ = RunPlan();
  EpochTerms terms_;
  JobStatus status_;
  RunStatistics statistics_{64};
  std::optional<JobRun> run_;
  RunTurn turn_;
  double now_s_ = 100;
  uint64_t sequence_ = 0;
};

TEST_F(JobRunTest, EachPhaseBeginsWhenAllHaveEndedTheLast) {
  Begin();
  EXPECT_THAT(Called<PrepareRequest>(), ElementsAre(0, 1, 2, 3, 4));
  for (const int process : {kW1, kW0, kS0, kM1}) {
    Answer(process, PrepareRequest());
    EXPECT_THAT(turn_.calls, IsEmpty());
  }
  EXPECT_FALSE(run_->prepared());
  Answer(kM0, PrepareRequest());
  EXPECT_TRUE(run_->prepared());
  EXPECT_THAT(Called<ConnectCall>(), ElementsAre(0, 1, 2, 3, 4));
  AnswerAll(ConnectCall());
  EXPECT_THAT(Called<StartCall>(), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_NE(status_.state(), RUNNING);
  AnswerAll(StartCall());
  EXPECT_EQ(status_.state(), RUNNING);
  EXPECT_THAT(turn_.events, ElementsAre("running"));
  EXPECT_FALSE(run_->end().has_value());
}

TEST_F(JobRunTest, PrepareSaysTheTerms) {
  plan_.shape.shards = {{{0}, {1}}, {{1}, {}}};
  terms_.start_step = 2;
  terms_.keep = true;
  terms_.last_commit =
      CommitRecord{.job_id = "j", .step = 1, .clip_factor = 0.5, .learning_rate = 0.25};
  terms_.filled_tiles[{0, 1}] = 1;
  terms_.checkpoint_now = true;
  terms_.disputed = {3};
  Begin();
  const auto& prepare = std::get<PrepareRequest>(turn_.calls[kW1].request);
  EXPECT_EQ(prepare.job_id(), "j");
  EXPECT_EQ(prepare.epoch(), 4u);
  EXPECT_EQ(prepare.role(), WAFER);
  EXPECT_EQ(prepare.index(), 1u);
  EXPECT_EQ(prepare.start_step(), 2u);
  EXPECT_EQ(prepare.plan_hash(), plan_.Hash());
  ASSERT_EQ(prepare.shards_size(), 2);
  EXPECT_THAT(prepare.shards(0).owners(), ElementsAre(0));
  EXPECT_THAT(prepare.shards(0).filling(), ElementsAre(1));
  EXPECT_THAT(prepare.shards(0).filled_tiles(), ElementsAre(1));
  EXPECT_THAT(prepare.shards(1).filling(), IsEmpty());
  EXPECT_EQ(prepare.last_commit().step(), 1u);
  EXPECT_EQ(prepare.last_commit().epoch(), 4u) << "of this epoch, whenever it was made";
  EXPECT_EQ(prepare.last_commit().learning_rate(), 0.25);
  EXPECT_TRUE(prepare.keep() && prepare.checkpoint_now());
  EXPECT_THAT(prepare.disputed(), ElementsAre(3));
}

TEST_F(JobRunTest, ACallThatFailsEndsTheEpochAsItsCodeSays) {
  const std::vector<std::pair<absl::Status, Kind>> cases = {
      {absl::InvalidArgumentError("why"), Kind::kFailed},
      {absl::ResourceExhaustedError("why"), Kind::kFailed},
      {absl::UnavailableError("why"), Kind::kRedo},
      {absl::FailedPreconditionError("why"), Kind::kRedo}};
  for (const auto& [status, kind] : cases) {
    Begin();
    Answer(kW0, PrepareRequest(), status);
    ExpectEnd(kind, "Prepare on w0: why", "w0");
    EXPECT_FALSE(run_->end()->damage.has_value()) << "a wafer holds nothing";
  }
}

TEST_F(JobRunTest, OnlyAMemoryxNodeThatIsNotPreparedHoldsNothing) {
  Begin();
  Answer(kM1, PrepareRequest(), absl::FailedPreconditionError("does not hold shard 1"));
  ASSERT_TRUE(run_->end()->damage.has_value());
  EXPECT_EQ(run_->end()->damage->node_id, "m1");
  EXPECT_THAT(run_->end()->damage->shards, IsEmpty());
  Begin();
  Answer(kM1, PrepareRequest(), absl::UnavailableError("gone"));
  EXPECT_FALSE(run_->end()->damage.has_value());
  Begin();
  AnswerAll(PrepareRequest());
  Answer(kM1, ConnectCall(), absl::FailedPreconditionError("no"));
  EXPECT_FALSE(run_->end()->damage.has_value());
}

TEST_F(JobRunTest, CommitsWhenTheRecordIsDurable) {
  BeginStreaming();
  ReportAll(0);
  ASSERT_TRUE(turn_.commit.has_value());
  NewTurn();
  run_->OnCommitDurable(absl::OkStatus(), turn_);
  EXPECT_THAT(Called<CommitRequest>(), ElementsAre(kM0, kM1));
  CommitRequest commit;
  Answer(kM0, commit);
  EXPECT_FALSE(run_->end().has_value());
  Answer(kM1, commit, absl::UnavailableError("gone"));
  ExpectEnd(Kind::kRedo, "step 0: Commit on m1: gone");
}

TEST_F(JobRunTest, ACommitThatIsNotDurablePauses) {
  BeginStreaming();
  ReportAll(0);
  NewTurn();
  run_->OnCommitDurable(absl::InternalError("disk"), turn_);
  ExpectEnd(Kind::kPause, "step 0: cannot record the commit: disk");
}

TEST_F(JobRunTest, AReportThatComesAgainIsNotHeard) {
  BeginStreaming();
  sequence_ = 5;
  Report(kW0, WaferReport(0, {{0, 1}, {1, 1}}));
  NodeReport again;  // which would end the epoch
  again.mutable_fault()->set_message("bad");
  for (const uint64_t sequence : {5, 4, 0}) {
    sequence_ = sequence;
    Report(kW0, again);
    EXPECT_FALSE(run_->end().has_value()) << sequence;
  }
  sequence_ = 0;
  Report(kW1, WaferReport(0, {{2, 1}}));  // each node counts for itself, from 0
  sequence_ = 6;
  Report(kW0, again);
  ExpectEnd(Kind::kRedo, "step 0: w0: bad", "w0");
}

TEST_F(JobRunTest, AReportThatCannotBeTrueMakesItsNodeSuspect) {
  BeginStreaming();
  Report(kW1, WaferReport(2, {{2, 1}}));
  ExpectEnd(Kind::kRedo, "w1: a report says step 2, but 0 steps are committed", "w1");
}

TEST_F(JobRunTest, DamageIsNoReasonToSuspectTheNode) {
  BeginStreaming();
  NodeReport report;
  report.mutable_fault()->set_message("checksum");
  report.mutable_fault()->add_damaged_shards(1);
  Report(kM1, report);
  ExpectEnd(Kind::kRedo, "step 0: m1: checksum");
  EXPECT_EQ(run_->end()->damage->node_id, "m1");
  EXPECT_THAT(run_->end()->damage->shards, ElementsAre(1));
}

TEST_F(JobRunTest, ABrokenChannelWaitsForALeaseToSayWho) {
  BeginStreaming();
  Fault(kS0, "w0");
  EXPECT_FALSE(run_->end().has_value());
  EXPECT_EQ(run_->deadline_s(), 100 + kLease);
  ReportAll(0);
  EXPECT_FALSE(turn_.commit.has_value()) << "sent before they noticed";
  NewTurn();
  run_->OnNodeLost(kW0, "was not heard of for 3 s", turn_);
  ExpectEnd(Kind::kRedo,
            "step 0: w0 was not heard of for 3 s; first seen by s0 (channel to w0): cut");
}

TEST_F(JobRunTest, ABrokenChannelBetweenNodesThatLiveIsTheLinks) {
  BeginStreaming();
  Fault(kS0, "w0");
  Fault(kS0, "m0");  // as it closes the others
  now_s_ += 1;
  Fault(kW0, "s0");
  EXPECT_FALSE(run_->end().has_value()) << "m0 was accused, and has not reported";
  EXPECT_EQ(run_->deadline_s(), 100 + kLease) << "of the first";
  Fault(kM0, "s0");
  ExpectEnd(Kind::kRedo, "step 0: s0 (channel to w0): cut", "w0");
}

TEST_F(JobRunTest, WithoutALeaseThatEndsTheTimeEndsIt) {
  BeginStreaming();
  Fault(kM1, "s0");
  now_s_ = 100 + kLease - 0.5;
  NewTurn();
  run_->OnTimer(turn_);
  EXPECT_FALSE(run_->end().has_value());
  now_s_ = 100 + kLease;
  NewTurn();
  run_->OnTimer(turn_);
  ExpectEnd(Kind::kRedo, "step 0: m1 (channel to s0): cut", "s0");
}

TEST_F(JobRunTest, ACommitThatIsDurableCountsThoughAChannelHasBroken) {
  BeginStreaming();
  ReportAll(0);
  Fault(kS0, "w0");
  NewTurn();
  run_->OnCommitDurable(absl::OkStatus(), turn_);
  EXPECT_EQ(run_->training()->committed()->step, 0u);
  EXPECT_EQ(status_.step(), 1u);
}

TEST_F(JobRunTest, OnceItHasEndedNothingChanges) {
  BeginStreaming();
  NewTurn();
  run_->Leave("more wafers", turn_);
  ExpectEnd(Kind::kSwap, "more wafers");
  run_->OnNodeLost(kW0, "is gone", turn_);
  Fault(kS0, "", "bad");
  run_->Leave("other wafers", turn_);
  Answer(kM0, CommitRequest(), absl::UnavailableError("gone"));
  run_->OnCommitDurable(absl::OkStatus(), turn_);
  run_->OnRecordDurable(absl::InternalError("disk"), turn_);
  ExpectEnd(Kind::kSwap, "more wafers");
}

TEST_F(JobRunTest, NothingLeftToDoIsDoneAtOnceButOnlyOnceItStreams) {
  terms_.start_step = 3;
  Begin();
  EXPECT_FALSE(run_->end().has_value());
  AnswerAll(PrepareRequest());
  AnswerAll(ConnectCall());
  NodeReport report;  // of one that has started sooner than others
  report.mutable_swarmx_step();
  Report(kS0, report);
  EXPECT_FALSE(run_->end().has_value());
  AnswerAll(StartCall());
  ExpectEnd(Kind::kDone, "");
}

TEST_F(JobRunTest, ALastCheckpointThatIsNotWrittenLeavesTheJobUnsaved) {
  terms_.start_step = 3;
  terms_.checkpoint_now = true;
  BeginStreaming();
  Report(kM0, WrittenReport(3));
  Report(kM1, WrittenReport(3));
  ASSERT_THAT(Called<SealRequest>(), ElementsAre(kM0));
  const SealRequest seal = std::get<SealRequest>(turn_.calls[0].request);
  Answer(kM0, seal, absl::InternalError("torn"));
  ExpectEnd(Kind::kUnsaved, "checkpoint after 3 steps failed: SealCheckpoint on m0: torn");
}

TEST_F(JobRunTest, NoNumbersADisputeAndACountAreEndsOfTheirOwn) {
  BeginStreaming();
  auto reports = StepReports(0, std::numeric_limits<double>::infinity());
  for (const auto& [process, report] : reports) Report(process, report);
  EXPECT_EQ(run_->end()->kind, Kind::kNoNumbers);
  EXPECT_EQ(run_->end()->bad.wafer, "w0");

  terms_.diagnose = true;
  BeginStreaming();
  for (const auto& [process, report] : reports) Report(process, report);
  EXPECT_EQ(run_->end()->kind, Kind::kCounted);
  EXPECT_THAT(run_->end()->bad.what, HasSubstr("not finite"));

  terms_.diagnose = false;
  BeginStreaming();
  reports = StepReports(0, 1);
  for (const int at : {0, 2}) {
    MicroBatchHash* vote = reports[at].second.mutable_wafer_step()->add_hashes();
    vote->set_micro_batch(1);
    vote->set_hash(at);
  }
  for (const auto& [process, report] : reports) Report(process, report);
  EXPECT_EQ(run_->end()->kind, Kind::kDispute);
  EXPECT_EQ(run_->end()->dispute.micro_batch, 1u);
}

TEST_F(JobRunTest, ProcessesAreFoundByTheirNodes) {
  Begin();
  EXPECT_EQ(run_->ProcessOn("w1"), kW1);
  EXPECT_EQ(run_->ProcessOn("w2"), std::nullopt);
}

}  // namespace
}  // namespace waferstream
