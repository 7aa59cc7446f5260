#include "controller/training_progress.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "plan/job_kind.h"

namespace waferstream {
namespace {

absl::Status CheckRole(const PlacedProcess& from, Role role) {
  if (from.role == role) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(from.node_id, " sent a report of a ",
                                                 RoleName(role), " node, but is a ",
                                                 RoleName(from.role), " node"));
}

absl::Status From(const PlacedProcess& from, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(from.node_id, ": ", status.message()));
}

}  // namespace

TrainingProgress::TrainingProgress(const Plan& plan, const EpochTerms& terms, JobStatus& status,
                                   RunStatistics& statistics)
    : plan_(plan),
      terms_(terms),
      status_(status),
      statistics_(statistics),
      step_(terms.start_step) {
  WS_CHECK(step_ <= plan.steps());
  if (step_ < plan.steps()) tally_.emplace(plan_, step_);
  if (Evaluates(plan.job)) validation_.emplace(plan_, 0);
  // What is due after the steps already done comes first (plan/pass.h).
  if (step_ > 0 && plan_.ValidationDue(step_)) validation_.emplace(plan_, step_ - 1);
  if (terms.checkpoint_now) {
    checkpoints_[step_] = {.loss = status.loss(), .written = std::vector<bool>(plan.shape.memoryx)};
  }
}

bool TrainingProgress::done() const {
  return !tally_.has_value() && !validation_.has_value() && checkpoints_.empty();
}

absl::Status TrainingProgress::OnReport(const PlacedProcess& from, const NodeReport& report,
                                        RunTurn& turn) {
  switch (report.what_case()) {
    case NodeReport::kWaferStep:
      return OnWaferStep(from, report.wafer_step(), turn);
    case NodeReport::kGradientsReady:
      return OnGradients(from, report.gradients_ready(), turn);
    case NodeReport::kWaferValidation:
      return OnValidation(from, report.wafer_validation(), turn);
    case NodeReport::kSwarmxStep:
      RETURN_IF_ERROR(CheckRole(from, SWARMX));
      statistics_.AddTraffic(from.node_id, from.role, report.swarmx_step().traffic());
      return absl::OkStatus();
    case NodeReport::kCheckpointWritten:
      return OnCheckpoint(from, report.checkpoint_written(), turn);
    default:
      return absl::InvalidArgumentError(
          absl::StrCat(from.node_id, " sent a report that a training job does not have"));
  }
}

absl::StatusOr<bool> TrainingProgress::IsCurrent(uint64_t step) const {
  if (step < step_) return false;
  if (tally_.has_value() && step == step_) return true;
  return absl::InvalidArgumentError(
      absl::StrCat("a report says step ", step, ", but ", step_, " steps are committed"));
}

absl::Status TrainingProgress::OnWaferStep(const PlacedProcess& from, const WaferStep& report,
                                           RunTurn& turn) {
  RETURN_IF_ERROR(CheckRole(from, WAFER));
  const absl::StatusOr<bool> current = IsCurrent(report.step());
  if (!current.ok()) return From(from, current.status());
  if (!*current) return absl::OkStatus();
  RETURN_IF_ERROR(From(from, tally_->Add(from.index, report)));
  Inspect(from, report);
  statistics_.AddWafer(report);
  statistics_.AddTraffic(from.node_id, from.role, report.traffic());
  return CommitIfComplete(turn);
}

absl::Status TrainingProgress::OnGradients(const PlacedProcess& from, const GradientsReady& report,
                                           RunTurn& turn) {
  RETURN_IF_ERROR(CheckRole(from, MEMORYX));
  const absl::StatusOr<bool> current = IsCurrent(report.step());
  if (!current.ok()) return From(from, current.status());
  if (!*current) return absl::OkStatus();
  RETURN_IF_ERROR(From(from, tally_->Add(from.index, report)));
  statistics_.AddTraffic(from.node_id, from.role, report.traffic());
  return CommitIfComplete(turn);
}

void TrainingProgress::Inspect(const PlacedProcess& from, const WaferStep& report) {
  for (const MicroBatchHash& vote : report.hashes()) votes_.Add(from.node_id, vote);
  for (int i = 0; i < report.micro_batch_size(); ++i) {
    const uint32_t micro_batch = report.micro_batch(i);
    if (std::isfinite(report.loss_sum(i))) continue;
    if (bad_micro_batch_.has_value() && *bad_micro_batch_ < micro_batch) continue;
    bad_micro_batch_ = micro_batch;
    bad_.wafer = from.node_id;
  }
  if (!report.has_non_finite()) return;
  if (bad_.first.has_value() && bad_.first->order() <= report.non_finite().order()) return;
  bad_.first = report.non_finite();
  bad_.first_wafer = from.node_id;
}

absl::Status TrainingProgress::CheckVotes() {
  if (!terms_.disputed.empty()) {
    counted_ = true;
    dispute_ = {step_, terms_.disputed[0], votes_.Of(terms_.disputed[0])};
    return absl::OkStatus();
  }
  const std::optional<uint32_t> disputed = votes_.Disputed();
  if (!disputed.has_value()) return absl::OkStatus();
  dispute_ = {step_, *disputed, votes_.Of(*disputed)};
  return absl::AbortedError(absl::StrCat("step ", step_, ": micro-batch ", *disputed,
                                         " came out different: ", Describe(dispute_.votes)));
}

absl::Status TrainingProgress::CommitIfComplete(RunTurn& turn) {
  if (!tally_->complete() || committing_.has_value()) return absl::OkStatus();
  RETURN_IF_ERROR(CheckVotes());
  const absl::StatusOr<StepResult> result = tally_->Result();
  if (terms_.only_counts()) {
    counted_ = true;
    if (!result.ok()) bad_.what = std::string(result.status().message());
    return absl::OkStatus();
  }
  if (!result.ok()) {
    bad_.what = std::string(result.status().message());
    return result.status();
  }
  const StepTimes times = statistics_.EndStep();
  committing_ = CommitRecord{.job_id = status_.job_id(),
                             .step = step_,
                             .loss = result->loss,
                             .norm = result->norm,
                             .clip_factor = result->clip_factor,
                             .learning_rate = plan_.LearningRate(step_),
                             .times = times};
  turn.commit = committing_;
  return absl::OkStatus();
}

absl::Status TrainingProgress::OnCommitDurable(const absl::Status& stored, RunTurn& turn) {
  WS_CHECK(committing_.has_value());
  if (!stored.ok()) {
    return absl::UnavailableError(
        absl::StrCat("step ", step_, ": cannot record the commit: ", stored.message()));
  }
  SendCommit(turn);
  committed_ = committing_;
  votes_ = HashVotes();
  ++step_;
  const uint64_t steps = plan_.steps();
  status_.set_step(step_);
  status_.set_loss(committing_->loss);
  statistics_.Fill(steps - step_, status_);
  turn.publish = true;
  RETURN_IF_ERROR(ExpectAfterCommit());
  committing_.reset();
  tally_.reset();
  if (step_ < steps) tally_.emplace(plan_, step_);
  return absl::OkStatus();
}

void TrainingProgress::SendCommit(RunTurn& turn) const {
  CommitRequest request;
  request.set_job_id(status_.job_id());
  request.set_epoch(status_.epoch());
  request.set_step(committing_->step);
  request.set_clip_factor(committing_->clip_factor);
  request.set_learning_rate(committing_->learning_rate);
  // MemoryX processes come first in every placement.
  for (int process = 0; process < plan_.shape.memoryx; ++process) {
    turn.calls.push_back({process, request});
  }
}

absl::Status TrainingProgress::ExpectAfterCommit() {
  // Wafers validate before they go on, so the last validation is in before the next commit.
  if (validation_.has_value()) {
    return absl::InternalError(
        absl::StrCat("step ", step_, " is complete, but an earlier validation is not"));
  }
  if (plan_.ValidationDue(step_)) validation_.emplace(plan_, step_ - 1);
  if (plan_.CheckpointDue(step_)) {
    checkpoints_[step_] = {.loss = committing_->loss,
                           .written = std::vector<bool>(plan_.shape.memoryx)};
  }
  return absl::OkStatus();
}

absl::Status TrainingProgress::OnValidation(const PlacedProcess& from,
                                            const WaferValidation& report, RunTurn& turn) {
  RETURN_IF_ERROR(CheckRole(from, WAFER));
  const bool due = plan_.ValidationDue(report.step() + 1) && report.step() < step_;
  if (!due && !Evaluates(plan_.job)) {
    return absl::InvalidArgumentError(absl::StrCat(from.node_id, " sent a validation after step ",
                                                   report.step(), ", which is not due"));
  }
  if (!validation_.has_value() || report.step() + 1 < step_) return absl::OkStatus();
  RETURN_IF_ERROR(From(from, validation_->Add(from.index, report)));
  if (!validation_->complete()) return absl::OkStatus();
  const absl::StatusOr<double> loss = validation_->Result();
  if (!loss.ok()) return loss.status();
  if (plan_.job.data().each_sequence()) {
    const std::vector<double>& losses = validation_->losses();
    status_.mutable_sequence_losses()->Assign(losses.begin(), losses.end());
  }
  validation_.reset();
  validated_steps_ = report.step() + 1;
  status_.set_val_loss(*loss);
  status_.set_has_val_loss(true);
  turn.events.push_back(absl::StrFormat("validation after %d steps: loss %.6g", step_, *loss));
  turn.publish = turn.record = true;
  return absl::OkStatus();
}

absl::Status TrainingProgress::OnCheckpoint(const PlacedProcess& from,
                                            const CheckpointWritten& report, RunTurn& turn) {
  RETURN_IF_ERROR(CheckRole(from, MEMORYX));
  const uint64_t steps_done = report.steps_done();
  if (!plan_.CheckpointDue(steps_done) || steps_done > step_) {
    return absl::InvalidArgumentError(absl::StrCat(from.node_id, " wrote a checkpoint after ",
                                                   steps_done, " steps, which is not due"));
  }
  const auto pending = checkpoints_.find(steps_done);
  if (pending == checkpoints_.end()) return absl::OkStatus();  // another node's part has failed
  if (!report.error().empty()) {
    RETURN_IF_ERROR(
        CheckpointFailed(steps_done, absl::StrCat(from.node_id, ": ", report.error()), turn));
    SealNext(turn);  // the one behind it may have waited
    return absl::OkStatus();
  }
  pending->second.written[from.index] = true;
  SealNext(turn);
  return absl::OkStatus();
}

void TrainingProgress::SealNext(RunTurn& turn) {
  const auto next = checkpoints_.begin();
  if (sealing_ || next == checkpoints_.end() || !next->second.whole()) return;
  sealing_ = true;
  SealRequest request;
  request.set_job_id(status_.job_id());
  request.set_epoch(status_.epoch());
  request.set_steps_done(next->first);
  request.set_loss(next->second.loss);
  request.set_known_steps(status_.checkpoint_step());
  request.set_best_steps(status_.best_checkpoint_step());
  turn.calls.push_back({0, std::move(request)});
}

absl::Status TrainingProgress::OnSealed(uint64_t steps_done, const absl::StatusOr<SealReply>& reply,
                                        RunTurn& turn) {
  if (!reply.ok()) {
    sealing_ = false;
    RETURN_IF_ERROR(CheckpointFailed(steps_done, std::string(reply.status().message()), turn));
    SealNext(turn);
    return absl::OkStatus();
  }
  checkpoints_.erase(steps_done);
  turn.events.push_back(absl::StrCat("checkpoint after ", steps_done, " steps: ", reply->path()));
  turn.events.insert(turn.events.end(), reply->notes().begin(), reply->notes().end());
  status_.set_checkpoint(reply->path());
  status_.set_checkpoint_step(steps_done);
  status_.set_weights_hash(reply->weights_hash());
  status_.set_optimizer_hash(reply->optimizer_hash());
  turn.publish = turn.record = turn.confirm = true;
  return absl::OkStatus();
}

absl::Status TrainingProgress::OnRecordDurable(const absl::Status& stored, RunTurn& turn) {
  if (!stored.ok()) {
    return absl::UnavailableError(absl::StrCat("cannot record the checkpoint after ",
                                               status_.checkpoint_step(),
                                               " steps: ", stored.message()));
  }
  sealing_ = false;
  SealNext(turn);
  return absl::OkStatus();
}

absl::Status TrainingProgress::CheckpointFailed(uint64_t steps_done, const std::string& why,
                                                RunTurn& turn) {
  checkpoints_.erase(steps_done);
  const std::string line = absl::StrCat("checkpoint after ", steps_done, " steps failed: ", why);
  if (steps_done == plan_.steps()) return absl::ResourceExhaustedError(line);
  turn.events.push_back(line);
  return absl::OkStatus();
}

}  // namespace waferstream
