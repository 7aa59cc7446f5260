#include "controller/job_run.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/mark.h"
#include "base/status.h"
#include "base/version.h"

namespace waferstream {
namespace {

const char* CallName(const NodeRequest& request) {
  constexpr const char* kNames[] = {"Prepare", "Connect",        "Start",
                                    "Commit",  "SealCheckpoint", "Release"};
  static_assert(std::variant_size_v<NodeRequest> == std::size(kNames));
  return kNames[request.index()];
}

// Errors that would come again wherever the job runs.
bool IsJobsFault(const absl::Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsResourceExhausted(status);
}

CommitRequest RequestOf(const CommitRecord& commit, uint32_t epoch) {
  CommitRequest request;
  request.set_job_id(commit.job_id);
  request.set_epoch(epoch);
  request.set_step(commit.step);
  request.set_clip_factor(commit.clip_factor);
  request.set_learning_rate(commit.learning_rate);
  return request;
}

}  // namespace

JobRun::JobRun(Setup setup, JobStatus& status, RunStatistics& statistics)
    : setup_(std::move(setup)),
      plan_hash_(setup_.plan.Hash()),
      status_(status),
      last_sequence_(placed().size(), -1) {
  if (plan().is_generation()) {
    generation_.emplace(plan(), status_);
  } else {
    training_.emplace(plan(), setup_.terms, status_, statistics);
  }
}

std::optional<int> JobRun::ProcessOn(const std::string& node_id) const {
  for (size_t process = 0; process < placed().size(); ++process) {
    if (placed()[process].node_id == node_id) return static_cast<int>(process);
  }
  return std::nullopt;
}

void JobRun::Begin(RunTurn& turn) { EnterPhase(Phase::kPrepare, turn); }

void JobRun::EnterPhase(Phase phase, RunTurn& turn) {
  phase_ = phase;
  turn.publish = true;
  if (phase == Phase::kStream) {
    status_.set_state(RUNNING);
    status_.clear_reason();
    turn.events.push_back("running");
    turn.record = true;
    return Settle(absl::OkStatus(), "", turn);  // there may be nothing left to do
  }
  unanswered_ = static_cast<int>(placed().size());
  for (int process = 0; process < unanswered_; ++process) {
    turn.calls.push_back({process, PhaseRequest(process)});
  }
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
  const EpochTerms& terms = setup_.terms;
  PrepareRequest request;
  request.set_job_id(status_.job_id());
  request.set_epoch(status_.epoch());
  *request.mutable_job() = plan().job;
  *request.mutable_roster() = setup_.roster;
  request.set_role(placed()[process].role);
  request.set_index(placed()[process].index);
  request.set_start_step(terms.start_step);
  request.set_plan_hash(plan_hash_);
  int s = 0;
  for (const ShardHolders& shard : plan().shape.shards) {
    ShardOwners* owners = request.add_shards();
    for (const int filler : shard.filling) {
      const auto at = terms.filled_tiles.find({s, filler});
      owners->add_filled_tiles(at == terms.filled_tiles.end() ? 0 : at->second);
    }
    ++s;
    owners->mutable_owners()->Add(shard.owners.begin(), shard.owners.end());
    owners->mutable_filling()->Add(shard.filling.begin(), shard.filling.end());
  }
  request.set_keep(terms.keep);
  if (terms.keep && terms.last_commit.has_value()) {
    *request.mutable_last_commit() = RequestOf(*terms.last_commit, status_.epoch());
  }
  request.set_restore(terms.restore);
  request.set_checkpoint_now(terms.checkpoint_now);
  request.mutable_disputed()->Add(terms.disputed.begin(), terms.disputed.end());
  request.set_diagnose(terms.diagnose);
  *request.mutable_ancestors() = status_.ancestors();
  request.set_kernel_isa(status_.kernel_isa());
  request.set_numerics(NumericsSaid(status_.numerics()));
  return request;
}

EpochRef JobRun::Epoch() const { return RefOf(status_); }

void JobRun::OnCallDone(int process, const NodeRequest& request, const absl::Status& status,
                        const NodeReply& reply, RunTurn& turn) {
  if (end_.has_value() || !first_fault_.empty()) return;
  if (const auto* seal = std::get_if<SealRequest>(&request)) {
    OnSealDone(*seal, status, reply, turn);
  } else if (const auto* commit = std::get_if<CommitRequest>(&request)) {
    if (status.ok()) return;
    End({.kind = EpochEnd::Kind::kRedo,
         .reason = absl::StrCat("step ", commit->step(), ": Commit on ", placed()[process].node_id,
                                ": ", status.message())},
        turn);
  } else {
    OnPhaseCallDone(process, request, status, turn);
  }
}

void JobRun::OnPhaseCallDone(int process, const NodeRequest& request, const absl::Status& status,
                             RunTurn& turn) {
  const std::string& node = placed()[process].node_id;
  if (status.ok()) {
    if (--unanswered_ > 0) return;
    return EnterPhase(static_cast<Phase>(static_cast<int>(phase_) + 1), turn);
  }
  EpochEnd end;
  end.kind = IsJobsFault(status) ? EpochEnd::Kind::kFailed : EpochEnd::Kind::kRedo;
  end.reason = absl::StrCat(CallName(request), " on ", node, ": ", status.message());
  end.suspect = node;
  const bool prepares = std::holds_alternative<PrepareRequest>(request);
  if (prepares && absl::IsFailedPrecondition(status) && placed()[process].role == MEMORYX) {
    end.damage = EpochEnd::Damage{node, {}};  // it says that it does not hold what we thought
  }
  End(std::move(end), turn);
}

void JobRun::OnSealDone(const SealRequest& request, const absl::Status& status,
                        const NodeReply& reply, RunTurn& turn) {
  absl::StatusOr<SealReply> sealed = SealReply();
  if (status.ok()) {
    sealed = std::get<SealReply>(reply);
  } else {
    sealed = absl::Status(status.code(), absl::StrCat("SealCheckpoint on ", placed()[0].node_id,
                                                      ": ", status.message()));
  }
  Settle(training_->OnSealed(request.steps_done(), sealed, turn), "", turn);
}

void JobRun::OnReport(int process, const NodeReport& report, RunTurn& turn) {
  const auto sequence = static_cast<int64_t>(report.sequence());
  if (end_.has_value() || sequence <= last_sequence_[process]) return;
  last_sequence_[process] = sequence;
  const PlacedProcess& from = placed()[process];
  if (report.has_fault()) {
    OnFault(process, report.fault(), turn);
  } else if (!first_fault_.empty() || report.has_shard_filled() || report.has_shard_filling()) {
    return;  // sent before the sender noticed; or job_life's business
  } else if (training_.has_value()) {
    Settle(training_->OnReport(from, report, turn), from.node_id, turn);
  } else {
    Settle(generation_->OnReport(from, report, turn), from.node_id, turn);
  }
}

void JobRun::OnFault(int process, const NodeFault& fault, RunTurn& turn) {
  const std::string& node = placed()[process].node_id;
  if (fault.peer().empty()) {
    EpochEnd end;
    end.reason = absl::StrCat(AtStep(), node, ": ", fault.message());
    if (fault.damaged_shards_size() > 0) {
      end.damage =
          EpochEnd::Damage{node, {fault.damaged_shards().begin(), fault.damaged_shards().end()}};
    } else {
      end.suspect = node;
    }
    return End(std::move(end), turn);
  }
  if (first_fault_.empty()) {
    first_fault_ = absl::StrCat(node, " (channel to ", fault.peer(), "): ", fault.message());
    weaker_end_ = Weaker(node, fault.peer());
    deadline_s_ = turn.now.steady_s + setup_.lease_s;
  }
  accused_.insert(fault.peer());
  accusers_.insert(node);
  if (EveryAccusedReported()) EndBroken(turn);
}

bool JobRun::EveryAccusedReported() const {
  return std::includes(accusers_.begin(), accusers_.end(), accused_.begin(), accused_.end());
}

std::string JobRun::Weaker(const std::string& a, const std::string& b) const {
  const auto rank = [&](const std::string& node) {
    const std::optional<int> process = ProcessOn(node);
    if (!process.has_value()) return 3;
    const Role role = placed()[*process].role;
    return role == WAFER ? 0 : role == SWARMX ? 1 : 2;
  };
  return rank(a) <= rank(b) ? a : b;
}

void JobRun::OnTimer(RunTurn& turn) {
  if (end_.has_value() || !deadline_s_.has_value() || turn.now.steady_s < *deadline_s_) return;
  EndBroken(turn);
}

// Nobody is lost, as far as leases tell: the link is.
void JobRun::EndBroken(RunTurn& turn) {
  WS_MARK("controller: a link was lost, and no node");
  End({.kind = EpochEnd::Kind::kRedo,
       .reason = absl::StrCat(AtStep(), first_fault_),
       .suspect = weaker_end_},
      turn);
}

void JobRun::OnCommitDurable(const absl::Status& stored, RunTurn& turn) {
  if (end_.has_value()) return;
  // It is history, even if a channel has broken since.
  Settle(training_->OnCommitDurable(stored, turn), "", turn);
}

void JobRun::OnRecordDurable(const absl::Status& stored, RunTurn& turn) {
  if (end_.has_value() || !first_fault_.empty()) return;
  Settle(training_->OnRecordDurable(stored, turn), "", turn);
}

void JobRun::OnNodeLost(int process, absl::string_view how, RunTurn& turn) {
  if (end_.has_value()) return;
  const std::string seen =
      first_fault_.empty() ? "" : absl::StrCat("; first seen by ", first_fault_);
  End({.kind = EpochEnd::Kind::kRedo,
       .reason = absl::StrCat(AtStep(), placed()[process].node_id, " ", how, seen)},
      turn);
}

void JobRun::Leave(const std::string& why, RunTurn& turn) {
  if (!end_.has_value()) End({.kind = EpochEnd::Kind::kSwap, .reason = why}, turn);
}

void JobRun::Settle(const absl::Status& status, const std::string& node, RunTurn& turn) {
  using Kind = EpochEnd::Kind;
  const bool done = training_.has_value() ? training_->done() : generation_->done();
  EpochEnd end{.kind = Kind::kDone, .reason = std::string(status.message())};
  if (training_.has_value()) {
    end.bad = training_->bad();
    end.dispute = training_->dispute();
    if (status.ok() && training_->counted()) {
      end.kind = Kind::kCounted;
      return End(std::move(end), turn);
    }
  }
  if (status.ok()) {
    if (done && phase_ == Phase::kStream) End(std::move(end), turn);
    return;
  }
  switch (status.code()) {
    case absl::StatusCode::kOutOfRange:
      end.kind = Kind::kNoNumbers;
      break;
    case absl::StatusCode::kAborted:
      end.kind = Kind::kDispute;
      break;
    case absl::StatusCode::kResourceExhausted:
      end.kind = Kind::kUnsaved;
      break;
    case absl::StatusCode::kUnavailable:
      end.kind = Kind::kPause;
      break;
    default:
      end.kind = Kind::kRedo;
      end.suspect = node;
      break;
  }
  End(std::move(end), turn);
}

void JobRun::End(EpochEnd end, RunTurn& turn) {
  end_ = std::move(end);
  deadline_s_.reset();
  // Calls to an epoch that is over would only be refused.
  turn.calls.clear();
  turn.commit.reset();
}

std::string JobRun::AtStep() const {
  if (phase_ != Phase::kStream) return "";
  return absl::StrCat("step ", training_.has_value() ? training_->step() : generation_->step(),
                      ": ");
}

}  // namespace waferstream
