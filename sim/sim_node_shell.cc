#include "sim/sim_node_shell.h"

#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace waferstream {
namespace {

EpochRef RefOf(const std::string& job_id, uint32_t epoch) {
  EpochRef ref;
  ref.set_job_id(job_id);
  ref.set_epoch(epoch);
  return ref;
}

absl::StatusOr<ControlReply> Done(const absl::Status& status) {
  if (!status.ok()) return status;
  return ControlReply(Empty());
}

const std::string& MemberId(const PrepareRequest& request) {
  const Roster& roster = request.roster();
  const int index = static_cast<int>(request.index());
  const auto& members = request.role() == MEMORYX  ? roster.memoryx()
                        : request.role() == SWARMX ? roster.swarmx()
                                                   : roster.wafers();
  WS_CHECK(index < members.size());
  return members[index].node_id();
}

}  // namespace

SimNodeShell::SimNodeShell(ChaosWorld& world, SimFabric& fabric, SimProcess& process,
                           NodeRole& role, SimEpoch::Report report)
    : world_(world), fabric_(fabric), process_(process), role_(role), report_(std::move(report)) {}

void SimNodeShell::Serve(const NodeRequest& request, ControlAnswer answer) {
  std::visit([&](const auto& r) { Serve(r, std::move(answer)); }, request);
}

// -- one at a time -----------------------------------------------------------------------------

void SimNodeShell::Enqueue(Control control) {
  controls_.push_back(std::move(control));
  if (controls_.size() == 1) RunControl();
}

void SimNodeShell::RunControl() {
  process_.After(world_.delays.Delay(world_.pace.disk_ns), [this] {
    const Control control = controls_.front();
    control([this] {
      controls_.pop_front();
      if (!controls_.empty()) RunControl();
    });
  });
}

void SimNodeShell::Serve(const PrepareRequest& request, ControlAnswer answer) {
  Enqueue([this, request, answer](const Next& next) {
    const bool again = request.SerializeAsString() == prepared_;
    const absl::Status checked = again ? absl::OkStatus() : Check(request);
    if (again || !checked.ok()) {
      answer(again ? absl::StatusOr<ControlReply>(ControlReply(prepared_reply_)) : checked);
      return next();
    }
    StopCurrent([this, request, answer, next] {
      answer(Prepare(request));
      next();
    });
  });
}

absl::Status SimNodeShell::Check(const PrepareRequest& request) const {
  if (request.role() != role_.kind() || MemberId(request) != process_.name()) {
    return absl::InvalidArgumentError("meant for another node");
  }
  if (request.job_id() != newest_.job_id()) return absl::OkStatus();
  if (request.epoch() < newest_.epoch()) {
    return absl::FailedPreconditionError(
        absl::StrCat("epoch ", request.epoch(), " is older than ", newest_.epoch()));
  }
  if (request.epoch() == newest_.epoch() && !prepared_.empty()) {
    return absl::FailedPreconditionError("already prepared with another content");
  }
  return absl::OkStatus();
}

absl::StatusOr<ControlReply> SimNodeShell::Prepare(const PrepareRequest& request) {
  ASSIGN_OR_RETURN(Plan compiled,
                   Compile(request.job(), ShapeOf(request.roster(), request.shards())));
  SimEpoch::Setup setup;
  setup.request = request;
  setup.plan = std::make_unique<const Plan>(std::move(compiled));
  if (setup.plan->Hash() != request.plan_hash()) {
    return absl::FailedPreconditionError("plan differs");
  }
  ASSIGN_OR_RETURN(setup.core, role_.Prepare(request, *setup.plan, &setup.reply));
  prepared_ = request.SerializeAsString();
  prepared_reply_ = setup.reply;
  newest_ = RefOf(request.job_id(), request.epoch());
  held_ = newest_;
  current_ = std::make_unique<SimEpoch>(world_, fabric_, process_, std::move(setup), report_);
  world_.Note(process_.name(), "prepared epoch ", request.epoch(), " from step ",
              request.start_step(), request.keep() ? ", kept" : "");
  return ControlReply(prepared_reply_);
}

void SimNodeShell::Serve(const SealRequest& request, ControlAnswer answer) {
  Enqueue([this, request, answer](const Next& next) {
    answer(Seal(request));
    next();
  });
}

absl::StatusOr<ControlReply> SimNodeShell::Seal(const SealRequest& request) {
  RETURN_IF_ERROR(Find(RefOf(request.job_id(), request.epoch())).status());
  const absl::StatusOr<SealReply> sealed = role_.Seal(request);
  world_.Note(process_.name(), "seal ", request.steps_done(), ": ",
              sealed.ok() ? "ok" : sealed.status().ToString());
  RETURN_IF_ERROR(sealed.status());
  return ControlReply(*sealed);
}

void SimNodeShell::Serve(const ReleaseCall& call, ControlAnswer answer) {
  Enqueue([this, ref = call.epoch, answer](const Next& next) {
    // A late Release of an older epoch must not take what a newer one keeps.
    if (ref.job_id() != newest_.job_id() || ref.epoch() < newest_.epoch()) {
      answer(ControlReply(Empty()));
      return next();
    }
    StopCurrent([this, ref, answer, next] {
      role_.Release();
      held_.reset();
      world_.Note(process_.name(), "released epoch ", ref.epoch());
      answer(ControlReply(Empty()));
      next();
    });
  });
}

void SimNodeShell::StopCurrent(Next then) {
  if (current_ == nullptr) return then();
  current_->Stop([this, then] {
    // Not from inside one of the epoch's own calls.
    process_.After(1, [this, then] {
      current_ = nullptr;
      prepared_.clear();
      then();
    });
  });
}

// -- calls that only visit -----------------------------------------------------------------------

absl::StatusOr<SimEpoch*> SimNodeShell::Find(const EpochRef& ref) const {
  if (current_ != nullptr && current_->Is(ref)) return current_.get();
  return absl::FailedPreconditionError(
      absl::StrCat("job ", ref.job_id(), " epoch ", ref.epoch(), " is not prepared here"));
}

void SimNodeShell::Serve(const ConnectCall& call, ControlAnswer answer) {
  const absl::StatusOr<SimEpoch*> epoch = Find(call.epoch);
  if (!epoch.ok()) return answer(epoch.status());
  // The timer answers when a peer never dials; then the channels come too late.
  auto answered = std::make_shared<bool>(false);
  const auto once = [answered, answer](const absl::Status& status) {
    if (!std::exchange(*answered, true)) answer(Done(status));
  };
  process_.After(world_.pace.connect_timeout_ns + world_.pace.retry_ns,
                 [once] { once(absl::DeadlineExceededError("channels are not open")); });
  (*epoch)->Connect(once);
}

void SimNodeShell::Serve(const StartCall& call, ControlAnswer answer) {
  const absl::StatusOr<SimEpoch*> epoch = Find(call.epoch);
  answer(Done(epoch.ok() ? (*epoch)->Start() : epoch.status()));
}

void SimNodeShell::Serve(const CommitRequest& commit, ControlAnswer answer) {
  const absl::StatusOr<SimEpoch*> epoch = Find(RefOf(commit.job_id(), commit.epoch()));
  answer(Done(epoch.ok() ? (*epoch)->Commit(commit) : epoch.status()));
}

// -- incoming connections ------------------------------------------------------------------------

absl::StatusOr<const Plan*> SimNodeShell::Admit(const Hello& theirs) {
  ASSIGN_OR_RETURN(SimEpoch * epoch, Find(RefOf(theirs.job_id(), theirs.epoch())));
  RETURN_IF_ERROR(epoch->channels().Admit(theirs));
  return &epoch->plan();
}

void SimNodeShell::Adopt(const Hello& theirs, std::shared_ptr<ChannelEnd> channel) {
  current_->channels().Adopt(theirs, std::move(channel));
}

}  // namespace waferstream
