// One prepared epoch of one job in this process: a core, and the shell it runs in.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/role_core.h"
#include "node/epoch_channels.h"
#include "node/lanes.h"
#include "node/world.h"
#include "plan/plan.h"
#include "proto/node.pb.h"

namespace waferstream {

// Role: turns what channels, lanes and the controller say into calls of the core, and the actions
// that it returns into sends, grants, lane work and reports.
// Lifecycle: Connect -> Start -> Commit* -> Stop. A broken channel or an error of the core is
// reported as a NodeFault and stops the epoch by itself; what follows, but Stop, is then refused.
// All calls are made on the loop.
// Danger: the core may only go when no lane works on its memory and no channel reads its buffers;
// Stop's callback says when that is.
class Epoch final : public ChannelEvents, public std::enable_shared_from_this<Epoch> {
 public:
  struct Setup {
    PrepareRequest request;
    PrepareReply reply = {};
    std::unique_ptr<const Plan> plan =
        nullptr;  // where it is: the core may hold references into it
    std::unique_ptr<RoleCore> core = nullptr;
  };
  using Report = std::function<void(NodeReport)>;

  // The world outlives the epoch.
  static std::shared_ptr<Epoch> Create(const NodeWorld& world, Setup setup, Report report);
  ~Epoch() override;

  bool Is(const EpochRef& ref) const {
    return ref.job_id() == setup_.request.job_id() && ref.epoch() == setup_.request.epoch();
  }

  // See EpochChannels::Connect.
  void Connect(absl::Duration timeout, EpochChannels::Done done);
  EpochChannels& channels() { return channels_; }

  // Again: nothing. FAILED_PRECONDITION: not connected, or stopped by a fault.
  absl::Status Start();
  // Again, or of an earlier step: nothing. Otherwise what the core says.
  absl::Status Commit(const CommitRequest& commit);

  // Ends everything; `stopped` once the core is destroyed, perhaps from inside a call of a channel.
  // May be called more than once.
  void Stop(std::function<void()> stopped);

 private:
  // What has happened to it; a fault or Stop leads on from everywhere.
  enum class State {
    kPrepared,
    kRunning,  // started
    kClosing,  // stopped; the channels are being closed
    kClosed,   // the channels use no buffer any more; lanes may still work
  };

  Epoch(const NodeWorld& world, Setup setup, Report report);

  // ChannelEvents
  absl::StatusOr<std::span<std::byte>> BufferFor(ChannelId channel,
                                                 const FrameHeader& header) override;
  absl::Status OnFrame(ChannelId channel, const FrameHeader& header,
                       const std::byte* payload) override;
  void OnCredit(ChannelId channel, FrameKind kind, const Credit& credit) override;
  void OnSent(uint64_t token) override;
  void OnBroken(ChannelId channel, const std::string& peer, const absl::Status& why) override;

  std::unique_ptr<LaneRunner> MakeLane(const LaneTerms& terms);
  void OnLaneDone(uint64_t id, const absl::Status& status);

  bool stopping() const { return state_ == State::kClosing || state_ == State::kClosed; }
  Turn NewTurn() const { return {.now_s = world_.loop.now_s(), .actions = {}}; }
  // `event`: what brought it about, for a trace.
  void Do(Turn& turn, const char* event);
  void Do(SendAction& send) { channels_.Send(send); }
  void Do(GrantAction& grant) { channels_.Grant(grant); }
  void Do(ReturnAction& done) { channels_.Return(done); }
  void Do(ComputeAction& compute);
  void Do(WaitedAction& waited);
  void Do(ReportAction& report);

  // Reports the fault, of this step, and stops.
  void Fault(NodeFault fault, LogLevel level);
  absl::Status CheckAlive() const;
  void FinishIfIdle();

  const NodeWorld& world_;
  Setup setup_;
  const Report report_;
  const std::unique_ptr<EpochObserver> observer_;
  EpochChannels channels_;
  std::unique_ptr<LaneRunner> lanes_[static_cast<int>(Lane::kLanes)];
  int in_lanes_ = 0;  // pieces of work whose completion has not come back
  State state_ = State::kPrepared;
  std::string fault_;  // why the epoch stopped by itself
  std::optional<CommitRequest> last_commit_;
  uint64_t sequence_ = 0;  // of reports
  uint64_t step_ = 0;      // highest that passed by; for messages
  std::vector<std::function<void()>> stopped_;
};

}  // namespace waferstream
