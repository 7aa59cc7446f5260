#include "node/epoch.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/mark.h"
#include "base/status.h"
#include "base/trace.h"
#include "core/fault.h"

namespace waferstream {
namespace {

constexpr char kComputeRow[] = "compute";  // of a trace

// A wafer computes with as many threads as the job says; the other roles' kernels are one pass over
// a tile each and keep up with the network on one.
int KernelThreads(const PrepareRequest& request) {
  if (request.role() != WAFER) return 1;
  return std::max<int>(1, static_cast<int>(request.job().cluster().wafer().kernel_threads()));
}

std::unique_ptr<EpochObserver> Observe(const NodeWorld& world, const Epoch::Setup& setup) {
  if (world.observe == nullptr) return std::make_unique<EpochObserver>();
  return world.observe(setup.request, setup.reply, *setup.plan);
}

}  // namespace

std::shared_ptr<Epoch> Epoch::Create(const NodeWorld& world, Setup setup, Report report) {
  std::shared_ptr<Epoch> epoch(new Epoch(world, std::move(setup), std::move(report)));
  epoch->lanes_[static_cast<int>(Lane::kCompute)] =
      epoch->MakeLane({.name = kComputeRow, .threads = KernelThreads(epoch->setup_.request)});
  epoch->lanes_[static_cast<int>(Lane::kDisk)] = epoch->MakeLane({.name = "disk"});
  return epoch;
}

Epoch::Epoch(const NodeWorld& world, Setup setup, Report report)
    : world_(world),
      setup_(std::move(setup)),
      report_(std::move(report)),
      observer_(Observe(world_, setup_)),
      channels_(world_.fabric, setup_.request, *setup_.plan, *this) {}

Epoch::~Epoch() = default;

// An epoch that is gone without Stop went with its process.
std::unique_ptr<LaneRunner> Epoch::MakeLane(const LaneTerms& terms) {
  return world_.lanes.Make(terms,
                           [weak = weak_from_this()](uint64_t id, const absl::Status& status) {
                             if (const std::shared_ptr<Epoch> self = weak.lock())
                               self->OnLaneDone(id, status);
                           });
}

// -- what the controller asks ------------------------------------------------------------------

void Epoch::Connect(absl::Duration timeout, EpochChannels::Done done) {
  if (const absl::Status alive = CheckAlive(); !alive.ok()) return done(alive);
  if (state_ == State::kRunning) return done(absl::OkStatus());
  channels_.Connect(timeout, std::move(done));
}

absl::Status Epoch::Start() {
  RETURN_IF_ERROR(CheckAlive());
  if (state_ == State::kRunning) return absl::OkStatus();
  if (!channels_.all_open()) {
    return absl::FailedPreconditionError(
        absl::StrCat("Start before Connect: not open: ", channels_.Missing()));
  }
  state_ = State::kRunning;
  world_.log(LogLevel::kInfo,
             absl::StrCat("job ", setup_.request.job_id(), " epoch ", setup_.request.epoch(),
                          ": channels by what carries them: ", channels_.Carriers()));
  observer_->OnStart();
  channels_.Receive();
  Turn turn = NewTurn();
  setup_.core->Start(turn);
  Do(turn, "start");
  return absl::OkStatus();
}

absl::Status Epoch::Commit(const CommitRequest& commit) {
  RETURN_IF_ERROR(CheckAlive());
  if (state_ != State::kRunning) return absl::FailedPreconditionError("Commit before Start");
  if (last_commit_ && commit.step() <= last_commit_->step()) return absl::OkStatus();
  observer_->OnCommit(commit.step());
  Turn turn = NewTurn();
  RETURN_IF_ERROR(setup_.core->OnCommit(commit, turn));
  last_commit_ = commit;
  Do(turn, "commit");
  return absl::OkStatus();
}

absl::Status Epoch::CheckAlive() const {
  if (!fault_.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("epoch ", setup_.request.epoch(), " has stopped: ", fault_));
  }
  if (stopping()) return absl::CancelledError("the epoch was released");
  return absl::OkStatus();
}

// -- events of the core ------------------------------------------------------------------------

void Epoch::Do(Turn& turn, const char* event) {
  for (Action& action : turn.actions) std::visit([this](auto& what) { Do(what); }, action);
  if (Traces()) TraceSpan("loop", event, turn.now_s, world_.loop.now_s());
}

absl::StatusOr<std::span<std::byte>> Epoch::BufferFor(ChannelId channel,
                                                      const FrameHeader& header) {
  if (stopping()) return absl::CancelledError("the epoch was released");
  return setup_.core->BufferFor(channel, header);
}

absl::Status Epoch::OnFrame(ChannelId channel, const FrameHeader& header,
                            const std::byte* payload) {
  if (stopping()) return absl::OkStatus();
  step_ = std::max(step_, header.step);
  observer_->OnFrame(channel, header);
  Turn turn = NewTurn();
  RETURN_IF_ERROR(setup_.core->OnFrame(channel, header, payload, turn));
  Do(turn, header.kind == FrameKind::kTile ? "tile" : "gradient");
  return absl::OkStatus();
}

void Epoch::OnCredit(ChannelId channel, FrameKind kind, const Credit& credit) {
  if (stopping()) return;
  observer_->OnCredit(channel);
  Turn turn = NewTurn();
  setup_.core->OnCredit(channel, kind, credit, turn);
  Do(turn, "credit");
}

void Epoch::OnSent(uint64_t token) {
  if (stopping()) return;
  observer_->OnSent(token);
  Turn turn = NewTurn();
  setup_.core->OnSent(token, turn);
  Do(turn, "sent");
}

void Epoch::OnLaneDone(uint64_t id, const absl::Status& status) {
  --in_lanes_;
  if (stopping()) return FinishIfIdle();
  observer_->OnComputeDone(id);
  Turn turn = NewTurn();
  const absl::Status taken = setup_.core->OnComputeDone(id, status, turn);
  if (taken.ok()) return Do(turn, "computed");
  Fault(FaultOf(taken), LogLevel::kError);
}

void Epoch::OnBroken(ChannelId channel, const std::string& peer, const absl::Status& why) {
  NodeFault fault;
  fault.set_message(absl::StrCat("channel ", channel, " with node ", peer, ": ", why.message()));
  fault.set_peer(peer);
  // A peer that ended was perhaps told to: no failure of this node, and no news to a controller
  // that is making a new epoch.
  const bool ended = absl::IsAborted(why);
  if (ended) WS_MARK("epoch: a peer closed its channel");
  Fault(std::move(fault), ended ? LogLevel::kInfo : LogLevel::kError);
}

// -- actions of the core -----------------------------------------------------------------------

void Epoch::Do(ComputeAction& compute) {
  ++in_lanes_;
  const auto lane = static_cast<int>(compute.lane);
  lanes_[lane]->Run(std::move(compute));
}

void Epoch::Do(WaitedAction& waited) {
  if (!Traces()) return;
  TraceSpan(kComputeRow, absl::StrCat(waited.why, waited.what), waited.since_s,
            world_.loop.now_s());
}

void Epoch::Do(ReportAction& action) {
  NodeReport& report = action.report;
  observer_->OnReport(report);
  report.set_job_id(setup_.request.job_id());
  report.set_epoch(setup_.request.epoch());
  report.set_sequence(sequence_++);
  report_(std::move(report));
}

// -- the end -----------------------------------------------------------------------------------

void Epoch::Fault(NodeFault fault, LogLevel level) {
  if (stopping()) return;
  world_.log(level, absl::StrCat("job ", setup_.request.job_id(), " epoch ", setup_.request.epoch(),
                                 ": ", fault.message()));
  fault_ = fault.message();
  fault.set_step(step_);
  ReportAction action;
  *action.report.mutable_fault() = std::move(fault);
  Do(action);
  Stop([] {});
}

void Epoch::Stop(std::function<void()> stopped) {
  stopped_.push_back(std::move(stopped));
  if (stopping()) return FinishIfIdle();
  state_ = State::kClosing;
  for (const auto& lane : lanes_) in_lanes_ -= lane->Drop();
  channels_.Close([this] {
    state_ = State::kClosed;
    FinishIfIdle();
  });
}

void Epoch::FinishIfIdle() {
  if (state_ != State::kClosed || in_lanes_ > 0) return;
  setup_.core.reset();
  for (auto& lane : lanes_) lane.reset();
  for (const auto& stopped : std::exchange(stopped_, {})) stopped();
}

}  // namespace waferstream
