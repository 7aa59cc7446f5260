#include "controller/training_progress.h"

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

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

class TrainingProgressTest : public testing::Test {
 protected:
  void Begin() {
    status_.set_job_id("j");
    status_.set_epoch(4);
    progress_.emplace(plan_, terms_, status_, statistics_);
  }

  // One event; what it wants done is in turn_.
  absl::Status Report(int process, const NodeReport& report) {
    turn_ = RunTurn();
    return progress_->OnReport(members_.placed[process], report, turn_);
  }
  absl::Status Durable(const absl::Status& stored = absl::OkStatus()) {
    turn_ = RunTurn();
    return progress_->OnCommitDurable(stored, turn_);
  }
  void AllOf(uint64_t step, double loss = 1) {
    for (const auto& [process, report] : StepReports(step, loss)) {
      ASSERT_TRUE(Report(process, report).ok());
    }
  }
  void Commit(uint64_t step, double loss = 1) {
    AllOf(step, loss);
    ASSERT_TRUE(turn_.commit.has_value());
    ASSERT_TRUE(Durable().ok());
  }
  void Written(uint64_t steps_done) {
    for (const int process : {kM0, kM1}) {
      ASSERT_TRUE(Report(process, WrittenReport(steps_done)).ok());
    }
  }
  absl::Status Sealed(uint64_t steps_done, const absl::Status& status = absl::OkStatus()) {
    turn_ = RunTurn();
    absl::StatusOr<SealReply> reply = SealReply();
    reply->set_path("/ckpt/" + std::to_string(steps_done));
    reply->set_weights_hash("hash" + std::to_string(steps_done));
    if (!status.ok()) reply = status;
    return progress_->OnSealed(steps_done, reply, turn_);
  }
  absl::Status OnRecord(const absl::Status& stored = absl::OkStatus()) {
    turn_ = RunTurn();
    return progress_->OnRecordDurable(stored, turn_);
  }
  // Steps of the seals that the turn asks for.
  std::vector<uint64_t> Seals() const {
    std::vector<uint64_t> steps;
    for (const RunTurn::Call& call : turn_.calls) {
      if (const auto* seal = std::get_if<SealRequest>(&call.request)) {
        EXPECT_EQ(call.process, kM0);
        EXPECT_EQ(seal->job_id(), "j");
        EXPECT_EQ(seal->epoch(), 4u);
        steps.push_back(seal->steps_done());
      }
    }
    return steps;
  }
  NodeReport Validation(uint64_t step, uint32_t micro_batch, double loss) {
    NodeReport report;
    report.mutable_wafer_validation()->set_step(step);
    report.mutable_wafer_validation()->add_micro_batch(micro_batch);
    report.mutable_wafer_validation()->add_loss_sum(loss);
    return report;
  }
  void Validate(uint64_t every) {
    plan_.job.mutable_data()->set_validation("v");
    plan_.job.mutable_training()->set_validate_every(every);
  }

  Plan plan_ = RunPlan();
  const Membership members_ = RunMembers();
  EpochTerms terms_;
  JobStatus status_;
  RunStatistics statistics_{64};
  std::optional<TrainingProgress> progress_;
  RunTurn turn_;
};

TEST_F(TrainingProgressTest, ACommitIsRecordedBeforeAnyNodeHearsOfIt) {
  Begin();
  const auto reports = StepReports(0, 2.5);
  for (size_t i = 0; i < reports.size(); ++i) {
    ASSERT_TRUE(Report(reports[i].first, reports[i].second).ok());
    EXPECT_EQ(turn_.commit.has_value(), i + 1 == reports.size());
    EXPECT_THAT(turn_.calls, IsEmpty());
  }
  EXPECT_EQ(turn_.commit->job_id, "j");
  EXPECT_EQ(turn_.commit->step, 0u);
  EXPECT_EQ(turn_.commit->loss, 2.5);
  EXPECT_EQ(turn_.commit->norm, 3);  // the root of 2 * (1 + 3.5)
  EXPECT_EQ(turn_.commit->learning_rate, 0.5);
  EXPECT_EQ(progress_->step(), 0u);
  EXPECT_FALSE(progress_->committed().has_value());

  ASSERT_TRUE(Durable().ok());
  ASSERT_EQ(turn_.calls.size(), 2u);
  for (const int process : {kM0, kM1}) {
    EXPECT_EQ(turn_.calls[process].process, process);
    const auto& request = std::get<CommitRequest>(turn_.calls[process].request);
    EXPECT_EQ(request.step(), 0u);
    EXPECT_EQ(request.epoch(), 4u);
    EXPECT_EQ(request.learning_rate(), 0.5);
  }
  EXPECT_EQ(progress_->step(), 1u);
  EXPECT_EQ(progress_->committed()->step, 0u);
  EXPECT_EQ(status_.step(), 1u);
  EXPECT_EQ(status_.loss(), 2.5);
}

TEST_F(TrainingProgressTest, WhatComesTwiceCommitsOnce) {
  Begin();
  AllOf(0);
  for (const auto& [process, report] : StepReports(0, 9)) {
    ASSERT_TRUE(Report(process, report).ok());
    EXPECT_FALSE(turn_.commit.has_value());
  }
  ASSERT_TRUE(Durable().ok());
  EXPECT_EQ(status_.loss(), 1);
  for (const auto& [process, report] : StepReports(0, 9)) {
    EXPECT_TRUE(Report(process, report).ok()) << "long committed";
  }
  Commit(1, 3);
  EXPECT_EQ(status_.loss(), 3);
}

TEST_F(TrainingProgressTest, WhatCannotBeTrueNamesItsNode) {
  Begin();
  EXPECT_EQ(Report(kW1, WaferReport(1, {{2, 1}})).message(),
            "w1: a report says step 1, but 0 steps are committed");
  EXPECT_THAT(std::string(Report(kM0, GradientsReport(7, 0)).message()), HasSubstr("m0: "));
  EXPECT_THAT(std::string(Report(kW0, WaferReport(0, {{4, 1}})).message()),
              HasSubstr("w0: step 0: micro-batch 4 does not exist"));
  EXPECT_THAT(std::string(Report(kM0, WaferReport(0, {{0, 1}})).message()), HasSubstr("m0 sent a"));
  EXPECT_FALSE(Report(kW0, GradientsReport(0, 0)).ok());
  EXPECT_FALSE(Report(kW0, WrittenReport(3)).ok());
  EXPECT_FALSE(Report(kM0, Validation(0, 0, 1)).ok());
  EXPECT_FALSE(Report(kW0, NodeReport()).ok());
  NodeReport swarm;
  swarm.mutable_swarmx_step();
  EXPECT_TRUE(Report(kS0, swarm).ok());
  EXPECT_FALSE(Report(kW0, swarm).ok());
}

TEST_F(TrainingProgressTest, ACommitThatCannotBeRecordedIsNotSent) {
  Begin();
  AllOf(0);
  const absl::Status status = Durable(absl::InternalError("disk"));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(status.message(), "step 0: cannot record the commit: disk");
  EXPECT_THAT(turn_.calls, IsEmpty());
  EXPECT_EQ(status_.step(), 0u);
}

TEST_F(TrainingProgressTest, IsDoneWhenTheLastCheckpointIsSealed) {
  terms_.start_step = 2;
  Begin();
  Commit(2);
  EXPECT_FALSE(progress_->done());
  Written(3);
  EXPECT_FALSE(progress_->done());
  ASSERT_TRUE(Sealed(3).ok());
  EXPECT_TRUE(progress_->done());
  EXPECT_EQ(status_.checkpoint(), "/ckpt/3");
  EXPECT_EQ(status_.checkpoint_step(), 3u);
  EXPECT_EQ(status_.weights_hash(), "hash3");
  EXPECT_TRUE(turn_.confirm && turn_.record);
  EXPECT_FALSE(Report(kW0, WaferReport(3, {{0, 1}})).ok()) << "a step that the job does not have";
}

TEST_F(TrainingProgressTest, ACheckpointIsSealedWhenEveryPartIsWritten) {
  plan_.job.mutable_checkpoint()->set_every(1);
  Begin();
  Commit(0, 1.5);
  EXPECT_FALSE(Report(kM0, WrittenReport(2)).ok()) << "of a step not yet made";
  EXPECT_FALSE(Report(kM0, WrittenReport(0)).ok());
  ASSERT_TRUE(Report(kM1, WrittenReport(1)).ok());
  ASSERT_TRUE(Report(kM1, WrittenReport(1)).ok());
  EXPECT_THAT(Seals(), IsEmpty()) << "one of two, twice";
  ASSERT_TRUE(Report(kM0, WrittenReport(1)).ok());
  EXPECT_THAT(Seals(), ElementsAre(1));
  EXPECT_EQ(std::get<SealRequest>(turn_.calls[0].request).loss(), 1.5);
  ASSERT_TRUE(Report(kM0, WrittenReport(1)).ok());
  EXPECT_THAT(Seals(), IsEmpty()) << "it is being sealed";
}

TEST_F(TrainingProgressTest, TheNextIsSealedWhenTheLastIsOnRecord) {
  plan_.job.mutable_checkpoint()->set_every(1);
  Begin();
  Commit(0);
  Written(1);
  EXPECT_THAT(Seals(), ElementsAre(1));
  Commit(1);
  Written(2);
  EXPECT_THAT(Seals(), IsEmpty());
  ASSERT_TRUE(Sealed(1).ok());
  EXPECT_THAT(Seals(), IsEmpty()) << "sealing 2 may remove 1, which is not on record";
  ASSERT_TRUE(OnRecord().ok());
  EXPECT_THAT(Seals(), ElementsAre(2));
  EXPECT_EQ(std::get<SealRequest>(turn_.calls[0].request).known_steps(), 1u);
  ASSERT_TRUE(Sealed(2).ok());
  EXPECT_EQ(OnRecord(absl::InternalError("disk")).code(), absl::StatusCode::kUnavailable);
}

TEST_F(TrainingProgressTest, ACheckpointThatFailsIsAnEventAndHoldsUpNoOther) {
  plan_.job.mutable_checkpoint()->set_every(1);
  Begin();
  Commit(0);
  ASSERT_TRUE(Report(kM0, WrittenReport(1)).ok());
  Commit(1);
  Written(2);
  EXPECT_THAT(Seals(), IsEmpty()) << "1 comes first";
  ASSERT_TRUE(Report(kM1, WrittenReport(1, "no space")).ok());
  EXPECT_THAT(turn_.events, ElementsAre("checkpoint after 1 steps failed: m1: no space"));
  EXPECT_THAT(Seals(), ElementsAre(2));
  ASSERT_TRUE(Report(kM0, WrittenReport(1)).ok()) << "the other part of the one that failed";
  Commit(2);
  Written(3);
  ASSERT_TRUE(Sealed(2, absl::InternalError("torn")).ok());
  EXPECT_THAT(turn_.events, ElementsAre("checkpoint after 2 steps failed: torn"));
  EXPECT_THAT(Seals(), ElementsAre(3));
  const absl::Status last = Sealed(3, absl::InternalError("torn"));
  EXPECT_EQ(last.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(last.message(), "checkpoint after 3 steps failed: torn");
}

TEST_F(TrainingProgressTest, ACheckpointThatIsDueAtTheStartIsWaitedFor) {
  plan_.job.mutable_checkpoint()->set_every(2);
  terms_.start_step = 2;
  terms_.checkpoint_now = true;
  status_.set_loss(7);
  Begin();
  Written(2);
  ASSERT_THAT(Seals(), ElementsAre(2));
  EXPECT_EQ(std::get<SealRequest>(turn_.calls[0].request).loss(), 7);
}

TEST_F(TrainingProgressTest, AValidationIsTakenBeforeTheNextCommit) {
  Validate(2);
  Begin();
  Commit(0);
  EXPECT_THAT(std::string(Report(kW0, Validation(0, 0, 1)).message()), HasSubstr("not due"));
  EXPECT_FALSE(Report(kW0, Validation(1, 0, 1)).ok()) << "before the step";
  Commit(1);
  ASSERT_TRUE(Report(kW0, Validation(1, 0, 32)).ok());
  ASSERT_TRUE(Report(kW0, Validation(1, 0, 99)).ok()) << "a duplicate";
  EXPECT_FALSE(status_.has_val_loss());
  ASSERT_TRUE(Report(kW1, Validation(1, 1, 16)).ok());
  EXPECT_EQ(status_.val_loss(), 48.0 / 32);
  EXPECT_TRUE(status_.has_val_loss());
  EXPECT_EQ(progress_->validated_steps(), 2u);
  EXPECT_THAT(turn_.events, ElementsAre("validation after 2 steps: loss 1.5"));
  ASSERT_TRUE(Report(kW1, Validation(1, 1, 99)).ok());
  EXPECT_EQ(status_.val_loss(), 48.0 / 32);
  Commit(2);
  ASSERT_TRUE(Report(kW0, Validation(1, 0, 1)).ok()) << "of the validation before";
  ASSERT_TRUE(Report(kW1, Validation(2, 1, 0)).ok());
  EXPECT_EQ(progress_->validated_steps(), 2u);
}

TEST_F(TrainingProgressTest, ACommitThatOvertakesItsValidationIsRefused) {
  Validate(1);
  Begin();
  Commit(0);
  AllOf(1);
  EXPECT_EQ(Durable().code(), absl::StatusCode::kInternal);
}

TEST_F(TrainingProgressTest, AnEpochTakesTheValidationOfItsStartAgain) {
  Validate(2);
  terms_.start_step = 2;
  Begin();
  ASSERT_TRUE(Report(kW0, Validation(1, 0, 16)).ok());
  ASSERT_TRUE(Report(kW1, Validation(1, 1, 16)).ok());
  EXPECT_EQ(status_.val_loss(), 1);
}

TEST_F(TrainingProgressTest, NumbersThatAreNoneStopTheCommitAndNameWhere) {
  Begin();
  NodeReport late = WaferReport(0, {{2, kNan}, {3, kNan}});
  late.mutable_wafer_step()->mutable_non_finite()->set_order(40);
  NodeReport early = WaferReport(0, {{0, 1}, {1, kNan}});
  early.mutable_wafer_step()->mutable_non_finite()->set_order(50);
  ASSERT_TRUE(Report(kW0, early).ok());
  ASSERT_TRUE(Report(kW1, late).ok());
  ASSERT_TRUE(Report(kM0, GradientsReport(0, 0)).ok());
  const absl::Status status = Report(kM1, GradientsReport(0, 1));
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_FALSE(turn_.commit.has_value());
  EXPECT_EQ(progress_->bad().what, "step 0: loss is not finite in micro-batch 1");
  EXPECT_EQ(progress_->bad().wafer, "w0") << "whose micro-batch comes first";
  EXPECT_EQ(progress_->bad().first->order(), 40u);
  EXPECT_EQ(progress_->bad().first_wafer, "w1") << "where it came up first";
}

class VotesTest : public TrainingProgressTest {
 protected:
  // Both wafers hash micro-batch 2.
  absl::Status Vote(uint64_t w0, uint64_t w1) {
    auto reports = StepReports(0, 1);
    for (const auto& [at, hash] : {std::pair{0, w0}, std::pair{2, w1}}) {
      MicroBatchHash* vote = reports[at].second.mutable_wafer_step()->add_hashes();
      vote->set_micro_batch(2);
      vote->set_hash(hash);
    }
    for (size_t i = 0; i + 1 < reports.size(); ++i) {
      EXPECT_TRUE(Report(reports[i].first, reports[i].second).ok());
    }
    return Report(reports.back().first, reports.back().second);
  }
};

TEST_F(VotesTest, OfOneMindCommit) {
  Begin();
  ASSERT_TRUE(Vote(5, 5).ok());
  EXPECT_TRUE(turn_.commit.has_value());
}

TEST_F(VotesTest, OfTwoMindsDoNotCommit) {
  Begin();
  const absl::Status status = Vote(5, 6);
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_FALSE(turn_.commit.has_value());
  EXPECT_EQ(progress_->dispute().micro_batch, 2u);
  EXPECT_EQ(progress_->dispute().votes, (Votes{{"w0", 5}, {"w1", 6}}));
}

TEST_F(VotesTest, AStepForADisputeCountsThemAndCommitsNothing) {
  terms_.disputed = {2};
  Begin();
  ASSERT_TRUE(Vote(5, 6).ok());
  EXPECT_TRUE(progress_->counted());
  EXPECT_FALSE(turn_.commit.has_value());
  EXPECT_EQ(progress_->dispute().votes, (Votes{{"w0", 5}, {"w1", 6}}));
}

TEST_F(TrainingProgressTest, AStepForADiagnosisCommitsNothing) {
  terms_.diagnose = true;
  Begin();
  AllOf(0);
  EXPECT_TRUE(progress_->counted());
  EXPECT_FALSE(turn_.commit.has_value());
  EXPECT_EQ(progress_->bad().what, "") << "all was finite this time";
}

}  // namespace
}  // namespace waferstream
