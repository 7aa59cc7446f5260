#include "node/epoch.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "node/fault.h"

namespace waferstream {
namespace {

// A wafer computes with as many threads as the job says; the other roles' kernels are one pass over
// a tile each and keep up with the network on one.
int KernelThreads(const PrepareRequest& request) {
  if (request.role() != WAFER) return 1;
  return std::max<int>(1, static_cast<int>(request.job().cluster().wafer().kernel_threads()));
}

}  // namespace

Epoch::Epoch(Executor& executor, Setup setup, Report report)
    : executor_(executor),
      setup_(std::move(setup)),
      report_(std::move(report)),
      channels_(executor.io(), setup_.request, *setup_.plan, setup_.credentials, *this) {
  lanes_[static_cast<int>(Lane::kCompute)] = MakeLane(KernelThreads(setup_.request));
  lanes_[static_cast<int>(Lane::kDisk)] = MakeLane(1);
}

Epoch::~Epoch() = default;

std::unique_ptr<LaneThread> Epoch::MakeLane(int threads) {
  return std::make_unique<LaneThread>(threads, [this](uint64_t id, const absl::Status& status) {
    executor_.Post([self = shared_from_this(), id, status] { self->OnLaneDone(id, status); });
  });
}

// -- what the controller asks ------------------------------------------------------------------

void Epoch::Connect(absl::Duration timeout, EpochChannels::Done done) {
  if (const absl::Status alive = CheckAlive(); !alive.ok()) return done(alive);
  if (started_) return done(absl::OkStatus());
  channels_.Connect(timeout, std::move(done));
}

absl::Status Epoch::Start() {
  RETURN_IF_ERROR(CheckAlive());
  if (started_) return absl::OkStatus();
  if (!channels_.all_open()) {
    return absl::FailedPreconditionError(
        absl::StrCat("Start before Connect: not open: ", channels_.Missing()));
  }
  started_ = true;
  channels_.Receive();
  Turn turn = NewTurn();
  setup_.core->Start(turn);
  Do(turn);
  return absl::OkStatus();
}

absl::Status Epoch::Commit(const CommitRequest& commit) {
  RETURN_IF_ERROR(CheckAlive());
  if (!started_) return absl::FailedPreconditionError("Commit before Start");
  if (last_commit_ && commit.step() <= last_commit_->step()) return absl::OkStatus();
  Turn turn = NewTurn();
  RETURN_IF_ERROR(setup_.core->OnCommit(commit, turn));
  last_commit_ = commit;
  Do(turn);
  return absl::OkStatus();
}

absl::Status Epoch::CheckAlive() const {
  if (!fault_.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("epoch ", setup_.request.epoch(), " has stopped: ", fault_));
  }
  if (stopping_) return absl::CancelledError("the epoch was released");
  return absl::OkStatus();
}

// -- events of the core ------------------------------------------------------------------------

Turn Epoch::NewTurn() const {
  return {
      .now_s = std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
                   .count(),
      .actions = {}};
}

void Epoch::Do(Turn& turn) {
  for (Action& action : turn.actions) std::visit([this](auto& what) { Do(what); }, action);
}

absl::StatusOr<std::span<std::byte>> Epoch::BufferFor(ChannelId channel,
                                                      const FrameHeader& header) {
  if (stopping_) return absl::CancelledError("the epoch was released");
  return setup_.core->BufferFor(channel, header);
}

absl::Status Epoch::OnFrame(ChannelId channel, const FrameHeader& header) {
  if (stopping_) return absl::OkStatus();
  step_ = std::max(step_, header.step);
  Turn turn = NewTurn();
  RETURN_IF_ERROR(setup_.core->OnFrame(channel, header, turn));
  Do(turn);
  return absl::OkStatus();
}

void Epoch::OnCredit(ChannelId channel, FrameKind kind, const Credit& credit) {
  if (stopping_) return;
  Turn turn = NewTurn();
  setup_.core->OnCredit(channel, kind, credit, turn);
  Do(turn);
}

void Epoch::OnSent(uint64_t token) {
  if (stopping_) return;
  Turn turn = NewTurn();
  setup_.core->OnSent(token, turn);
  Do(turn);
}

void Epoch::OnLaneDone(uint64_t id, const absl::Status& status) {
  --in_lanes_;
  if (stopping_) return FinishIfIdle();
  Turn turn = NewTurn();
  const absl::Status taken = setup_.core->OnComputeDone(id, status, turn);
  if (taken.ok()) return Do(turn);
  Fault(FaultOf(taken));
}

void Epoch::OnBroken(ChannelId channel, const std::string& peer, const absl::Status& why) {
  NodeFault fault;
  fault.set_message(absl::StrCat("channel ", channel, " with node ", peer, ": ", why.message()));
  fault.set_peer(peer);
  if (!absl::IsAborted(why)) return Fault(std::move(fault));
  // The peer ended, perhaps because it was told to: no failure of this node, and no news to a
  // controller that is making a new epoch.
  spdlog::info("{}: {}", Name(), fault.message());
  ReportAndStop(std::move(fault));
}

// -- actions of the core -----------------------------------------------------------------------

void Epoch::Do(ComputeAction& compute) {
  ++in_lanes_;
  lanes_[static_cast<int>(compute.lane)]->Run(compute.id, std::move(compute.work));
}

void Epoch::Do(ReportAction& action) {
  NodeReport& report = action.report;
  report.set_job_id(setup_.request.job_id());
  report.set_epoch(setup_.request.epoch());
  report.set_sequence(sequence_++);
  report_(std::move(report));
}

// -- the end -----------------------------------------------------------------------------------

void Epoch::Fault(NodeFault fault) {
  if (stopping_) return;
  spdlog::error("{}: {}", Name(), fault.message());
  ReportAndStop(std::move(fault));
}

std::string Epoch::Name() const {
  return absl::StrCat("job ", setup_.request.job_id(), " epoch ", setup_.request.epoch());
}

void Epoch::ReportAndStop(NodeFault fault) {
  if (stopping_) return;
  fault_ = fault.message();
  fault.set_step(step_);
  ReportAction action;
  *action.report.mutable_fault() = std::move(fault);
  Do(action);
  Stop([] {});
}

void Epoch::Stop(std::function<void()> stopped) {
  stopped_.push_back(std::move(stopped));
  if (stopping_) return FinishIfIdle();
  stopping_ = true;
  for (const auto& lane : lanes_) in_lanes_ -= lane->Drop();
  channels_.Close([this] {
    channels_closed_ = true;
    FinishIfIdle();
  });
}

void Epoch::FinishIfIdle() {
  if (!channels_closed_ || in_lanes_ > 0) return;
  setup_.core.reset();
  for (auto& lane : lanes_) lane.reset();
  for (const auto& stopped : std::exchange(stopped_, {})) stopped();
}

}  // namespace waferstream
