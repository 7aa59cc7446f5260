#include "controller/job_run.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace waferstream {
namespace {

const char* CallName(const NodeRequest& request) {
  constexpr const char* kNames[] = {"Prepare", "Connect",        "Start",
                                    "Commit",  "SealCheckpoint", "Release"};
  static_assert(std::variant_size_v<NodeRequest> == std::size(kNames));
  return kNames[request.index()];
}

}  // namespace

JobRun::JobRun(JobStatus status, AdmittedJob job, Roster roster, std::vector<PlacedProcess> placed)
    : plan_(std::move(job.plan)),
      plan_hash_(plan_.Hash()),
      start_step_(job.start_step),
      roster_(std::move(roster)),
      placed_(std::move(placed)),
      status_(std::move(status)),
      last_sequence_(placed_.size(), -1) {
  if (plan_.is_generation()) {
    generation_.emplace(plan_, status_);
  } else {
    training_.emplace(plan_, start_step_, status_);
  }
}

std::optional<int> JobRun::ProcessOn(const std::string& node_id) const {
  for (size_t process = 0; process < placed_.size(); ++process) {
    if (placed_[process].node_id == node_id) return static_cast<int>(process);
  }
  return std::nullopt;
}

void JobRun::Begin(RunTurn& turn) {
  status_.set_state(PREPARING);
  status_.clear_reason();
  turn.record = true;
  EnterPhase(Phase::kPrepare, turn);
}

void JobRun::EnterPhase(Phase phase, RunTurn& turn) {
  phase_ = phase;
  if (phase == Phase::kStart) started_s_ = turn.now.steady_s;
  if (phase == Phase::kStream) {
    status_.set_state(RUNNING);
    turn.events.push_back("running");
    turn.record = true;
  } else {
    unanswered_ = static_cast<int>(placed_.size());
    for (int process = 0; process < unanswered_; ++process) {
      turn.calls.push_back({process, PhaseRequest(process)});
    }
  }
  Publish(turn);
}

NodeRequest JobRun::PhaseRequest(int process) const {
  switch (phase_) {
    case Phase::kPrepare:
      return Prepare(process);
    case Phase::kConnect:
      return ConnectCall{Epoch()};
    default:
      return StartCall{Epoch()};
  }
}

PrepareRequest JobRun::Prepare(int process) const {
  PrepareRequest request;
  request.set_job_id(status_.job_id());
  request.set_epoch(status_.epoch());
  *request.mutable_job() = plan_.job;
  *request.mutable_roster() = roster_;
  request.set_role(placed_[process].role);
  request.set_index(placed_[process].index);
  request.set_start_step(start_step_);
  request.set_plan_hash(plan_hash_);
  return request;
}

EpochRef JobRun::Epoch() const {
  EpochRef ref;
  ref.set_job_id(status_.job_id());
  ref.set_epoch(status_.epoch());
  return ref;
}

void JobRun::OnCallDone(int process, const NodeRequest& request, const absl::Status& status,
                        const NodeReply& reply, RunTurn& turn) {
  if (ended() || !first_fault_.empty()) return;
  if (const auto* seal = std::get_if<SealRequest>(&request)) {
    OnSealDone(*seal, status, reply, turn);
  } else if (!status.ok()) {
    const auto* commit = std::get_if<CommitRequest>(&request);
    Fail(absl::StrCat(commit == nullptr ? "" : absl::StrCat("step ", commit->step(), ": "),
                      CallName(request), " on ", placed_[process].node_id, ": ", status.message()),
         turn);
  } else if (!std::holds_alternative<CommitRequest>(request)) {
    OnPhaseCallOk(turn);
  }
}

void JobRun::OnPhaseCallOk(RunTurn& turn) {
  if (--unanswered_ > 0) return;
  EnterPhase(static_cast<Phase>(static_cast<int>(phase_) + 1), turn);
}

void JobRun::OnSealDone(const SealRequest& request, const absl::Status& status,
                        const NodeReply& reply, RunTurn& turn) {
  absl::StatusOr<SealReply> sealed = SealReply();
  if (status.ok()) {
    sealed = std::get<SealReply>(reply);
  } else {
    sealed = absl::Status(status.code(), absl::StrCat("SealCheckpoint on ", placed_[0].node_id,
                                                      ": ", status.message()));
  }
  Settle(training_->OnSealed(request.steps_done(), sealed, turn), turn);
}

void JobRun::OnReport(int process, const NodeReport& report, RunTurn& turn) {
  const auto sequence = static_cast<int64_t>(report.sequence());
  if (ended() || sequence <= last_sequence_[process]) return;
  last_sequence_[process] = sequence;
  const PlacedProcess& from = placed_[process];
  if (report.has_fault()) {
    OnFault(process, report.fault(), turn);
  } else if (!first_fault_.empty()) {
    return;  // sent before the sender noticed
  } else if (training_.has_value()) {
    Settle(training_->OnReport(from, report, turn), turn);
  } else {
    Settle(generation_->OnReport(from, report, turn), turn);
  }
}

void JobRun::OnFault(int process, const NodeFault& fault, RunTurn& turn) {
  const std::string& node = placed_[process].node_id;
  if (fault.peer().empty()) return Fail(absl::StrCat(AtStep(), node, ": ", fault.message()), turn);
  if (first_fault_.empty()) {
    first_fault_ = absl::StrCat(node, " (channel to ", fault.peer(), "): ", fault.message());
  }
  accused_.insert(fault.peer());
  accusers_.insert(node);
  if (EveryAccusedReported()) Fail(absl::StrCat(AtStep(), first_fault_), turn);
}

bool JobRun::EveryAccusedReported() const {
  return std::includes(accusers_.begin(), accusers_.end(), accused_.begin(), accused_.end());
}

void JobRun::OnCommitDurable(const absl::Status& stored, RunTurn& turn) {
  if (!ended() && first_fault_.empty()) Settle(training_->OnCommitDurable(stored, turn), turn);
}

void JobRun::OnNodeLost(int process, absl::string_view how, RunTurn& turn) {
  if (ended()) return;
  const std::string seen =
      first_fault_.empty() ? "" : absl::StrCat("; first seen by ", first_fault_);
  Fail(absl::StrCat(AtStep(), placed_[process].node_id, " ", how, seen), turn);
}

void JobRun::Cancel(RunTurn& turn) {
  if (!ended()) End(CANCELLED, "cancelled by the user", turn);
}

void JobRun::Settle(const absl::Status& status, RunTurn& turn) {
  if (!status.ok()) return Fail(status.message(), turn);
  if (training_.has_value() ? training_->done() : generation_->done()) return End(DONE, "", turn);
  if (turn.publish) Publish(turn);
}

void JobRun::Fail(absl::string_view reason, RunTurn& turn) { End(FAILED, reason, turn); }

void JobRun::End(JobState state, absl::string_view reason, RunTurn& turn) {
  status_.set_state(state);
  status_.set_reason(std::string(reason));
  status_.set_seconds_left(0);
  const char* what = state == DONE ? "done" : state == FAILED ? "failed: " : "";
  turn.events.push_back(absl::StrCat(what, reason));
  // Calls to an epoch that is over would only be refused.
  turn.calls.clear();
  turn.commit.reset();
  turn.record = true;
  Publish(turn);
}

void JobRun::Publish(RunTurn& turn) {
  if (started_s_.has_value()) status_.set_seconds(turn.now.steady_s - *started_s_);
  turn.publish = true;
}

std::string JobRun::AtStep() const {
  if (phase_ != Phase::kStream) return "";
  return absl::StrCat("step ", training_.has_value() ? training_->step() : generation_->step(),
                      ": ");
}

}  // namespace waferstream
