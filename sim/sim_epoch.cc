#include "sim/sim_epoch.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "node/fault.h"

namespace waferstream {

SimEpoch::SimEpoch(ChaosWorld& world, SimFabric& fabric, SimProcess& process, Setup setup,
                   Report report)
    : world_(world),
      process_(process),
      setup_(std::move(setup)),
      report_(std::move(report)),
      audit_(world, process.name(), setup_.request, setup_.reply, *setup_.plan),
      channels_(world, fabric, process, setup_.request, *setup_.plan, *this),
      lanes_{{world, process, [this](uint64_t id, const absl::Status& s) { OnLaneDone(id, s); }},
             {world, process, [this](uint64_t id, const absl::Status& s) { OnLaneDone(id, s); }}} {}

// -- what the controller asks ------------------------------------------------------------------

void SimEpoch::Connect(SimChannels::Done done) {
  if (const absl::Status alive = CheckAlive(); !alive.ok()) return done(alive);
  if (started_) return done(absl::OkStatus());
  channels_.Connect(std::move(done));
}

absl::Status SimEpoch::Start() {
  RETURN_IF_ERROR(CheckAlive());
  if (started_) return absl::OkStatus();
  if (!channels_.all_open()) return absl::FailedPreconditionError("Start before Connect");
  started_ = true;
  world_.Note(process_.name(), "start");
  channels_.Receive();
  Turn turn = NewTurn();
  setup_.core->Start(turn);
  Do(turn);
  return absl::OkStatus();
}

absl::Status SimEpoch::Commit(const CommitRequest& commit) {
  RETURN_IF_ERROR(CheckAlive());
  if (!started_) return absl::FailedPreconditionError("Commit before Start");
  if (last_commit_ && commit.step() <= last_commit_->step()) return absl::OkStatus();
  world_.Note(process_.name(), "commit ", commit.step());
  Turn turn = NewTurn();
  RETURN_IF_ERROR(setup_.core->OnCommit(commit, turn));
  last_commit_ = commit;
  Do(turn);
  return absl::OkStatus();
}

absl::Status SimEpoch::CheckAlive() const {
  if (!fault_.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("epoch ", setup_.request.epoch(), " has stopped: ", fault_));
  }
  if (stopping_) return absl::CancelledError("the epoch was released");
  return absl::OkStatus();
}

// -- events of the core ------------------------------------------------------------------------

void SimEpoch::Do(Turn& turn) {
  for (Action& action : turn.actions) std::visit([this](auto& what) { Do(what); }, action);
}

absl::StatusOr<std::span<std::byte>> SimEpoch::BufferFor(ChannelId channel,
                                                         const FrameHeader& header) {
  if (stopping_) return absl::CancelledError("the epoch was released");
  return setup_.core->BufferFor(channel, header);
}

absl::Status SimEpoch::OnFrame(ChannelId channel, const FrameHeader& header) {
  if (stopping_) return absl::OkStatus();
  world_.Note(process_.name(), "frame ", channel, " tile ", header.tile, " step ", header.step);
  step_ = std::max(step_, header.step);
  audit_.OnFrame(header);
  Turn turn = NewTurn();
  RETURN_IF_ERROR(setup_.core->OnFrame(channel, header, turn));
  Do(turn);
  return absl::OkStatus();
}

void SimEpoch::OnCredit(ChannelId channel, FrameKind kind, const Credit& credit) {
  if (stopping_) return;
  world_.Note(process_.name(), "credit ", channel);
  Turn turn = NewTurn();
  setup_.core->OnCredit(channel, kind, credit, turn);
  Do(turn);
}

void SimEpoch::OnSent(uint64_t token) {
  if (stopping_) return;
  world_.Note(process_.name(), "sent ", token);
  Turn turn = NewTurn();
  setup_.core->OnSent(token, turn);
  Do(turn);
}

void SimEpoch::OnLaneDone(uint64_t id, const absl::Status& status) {
  if (stopping_) return FinishIfIdle();
  world_.Note(process_.name(), "computed ", id);
  Turn turn = NewTurn();
  const absl::Status taken = setup_.core->OnComputeDone(id, status, turn);
  if (taken.ok()) return Do(turn);
  Fault(FaultOf(taken));
}

void SimEpoch::OnBroken(ChannelId channel, const std::string& peer, const absl::Status& why) {
  NodeFault fault;
  fault.set_message(absl::StrCat("channel ", channel, " with node ", peer, ": ", why.message()));
  fault.set_peer(peer);
  Fault(std::move(fault));
}

void SimEpoch::Do(ReportAction& action) {
  NodeReport& report = action.report;
  audit_.OnReport(report);
  report.set_job_id(setup_.request.job_id());
  report.set_epoch(setup_.request.epoch());
  report.set_sequence(sequence_++);
  report_(std::move(report));
}

// -- the end -----------------------------------------------------------------------------------

void SimEpoch::Fault(NodeFault fault) {
  if (stopping_) return;
  world_.Note(process_.name(), "fault: ", fault.message());
  fault_ = fault.message();
  fault.set_step(step_);
  ReportAction action;
  *action.report.mutable_fault() = std::move(fault);
  Do(action);
  Stop([] {});
}

void SimEpoch::Stop(std::function<void()> stopped) {
  stopped_.push_back(std::move(stopped));
  if (stopping_) return FinishIfIdle();
  stopping_ = true;
  for (VirtualLane& lane : lanes_) lane.Drop();
  channels_.Close([this] {
    channels_closed_ = true;
    FinishIfIdle();
  });
}

void SimEpoch::FinishIfIdle() {
  if (!channels_closed_ || !Idle()) return;
  setup_.core.reset();
  for (const auto& stopped : std::exchange(stopped_, {})) stopped();
}

}  // namespace waferstream
