#include "sim/sim_controller.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace waferstream {

SimController::SimController(const Plan& plan, uint32_t epoch, uint64_t start_step, Commit commit,
                             Seal seal)
    : plan_(plan),
      epoch_(epoch),
      commit_(std::move(commit)),
      seal_(std::move(seal)),
      step_(start_step),
      tally_(plan, start_step) {
  // One that is due after the steps already done is taken first.
  for (uint64_t done = std::max<uint64_t>(start_step, 1); done <= plan.job.training().steps();
       ++done) {
    validations_due_ += plan.ValidationDue(done);
  }
  outcome_.sram_peak_bytes.resize(plan.shape.wafers);
  outcome_.memoryx.resize(plan.shape.memoryx);
  outcome_.swarmx.resize(plan.shape.swarmx);
  outcome_.wafers.resize(plan.shape.wafers);
}

absl::Status SimController::OnReport(const Endpoint& from, const NodeReport& report) {
  switch (report.what_case()) {
    case NodeReport::kGradientsReady:
      return OnGradients(from.process, report.gradients_ready());
    case NodeReport::kWaferStep:
      return OnWaferStep(from.process, report.wafer_step());
    case NodeReport::kWaferValidation:
      return OnValidation(from.process, report.wafer_validation());
    case NodeReport::kCheckpointWritten:
      return OnCheckpoint(report.checkpoint_written());
    case NodeReport::kGeneratedToken:
      outcome_.generated.push_back(report.generated_token().token());
      return absl::OkStatus();
    case NodeReport::kSwarmxStep:
      outcome_.swarmx[from.process] = report.swarmx_step().traffic();
      return absl::OkStatus();
    case NodeReport::kFault:
      return absl::InternalError(report.fault().message());
    case NodeReport::kShardFilled:  // nobody is lost, so nobody fills
    case NodeReport::kShardFilling:
    case NodeReport::WHAT_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("a report that nobody should send");
}

absl::Status SimController::OnGradients(int process, const GradientsReady& report) {
  outcome_.memoryx[process] = report.traffic();
  RETURN_IF_ERROR(tally_.Add(process, report));
  return CommitIfComplete();
}

absl::Status SimController::OnWaferStep(int wafer, const WaferStep& report) {
  outcome_.wafers[wafer] = report.traffic();
  outcome_.sram_peak_bytes[wafer] = report.sram_peak_bytes();
  for (const MicroBatchHash& hash : report.hashes()) {
    outcome_.hashes[{report.step(), hash.micro_batch()}].push_back(hash.hash());
  }
  RETURN_IF_ERROR(tally_.Add(wafer, report));
  return CommitIfComplete();
}

absl::Status SimController::CommitIfComplete() {
  if (!tally_.complete()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const StepResult result, tally_.Result());
  outcome_.losses.push_back(result.loss);
  outcome_.norms.push_back(result.norm);
  CommitRequest request;
  request.set_epoch(epoch_);
  request.set_step(step_);
  request.set_clip_factor(result.clip_factor);
  request.set_learning_rate(plan_.LearningRate(step_));
  commit_(request);
  tally_ = StepTally(plan_, ++step_);
  return absl::OkStatus();
}

absl::Status SimController::OnValidation(int wafer, const WaferValidation& report) {
  const auto at = validations_.try_emplace(report.step(), plan_, report.step()).first;
  RETURN_IF_ERROR(at->second.Add(wafer, report));
  if (!at->second.complete()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const double loss, at->second.Result());
  outcome_.validation_losses.push_back(loss);
  validations_.erase(at);
  return absl::OkStatus();
}

absl::Status SimController::OnCheckpoint(const CheckpointWritten& report) {
  if (!report.error().empty()) {
    return absl::InternalError(absl::StrCat("checkpoint: ", report.error()));
  }
  if (++written_[report.steps_done()] < plan_.shape.memoryx) return absl::OkStatus();
  SealRequest request;
  request.set_epoch(epoch_);
  request.set_steps_done(report.steps_done());
  request.set_loss(outcome_.losses.back());
  ASSIGN_OR_RETURN(const SealReply sealed, seal_(request));
  sealed_steps_ = std::max(sealed_steps_, report.steps_done());
  outcome_.checkpoint = sealed.path();
  outcome_.weights_hash = sealed.weights_hash();
  outcome_.optimizer_hash = sealed.optimizer_hash();
  return absl::OkStatus();
}

bool SimController::done() const {
  if (plan_.is_generation()) return outcome_.generated.size() == plan_.job.generate().tokens();
  const uint64_t steps = plan_.job.training().steps();
  return step_ == steps && sealed_steps_ == steps &&
         outcome_.validation_losses.size() == validations_due_;
}

}  // namespace waferstream
