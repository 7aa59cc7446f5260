// One prepared epoch of one job in a simulated process: what node/epoch is in production, on
// virtual time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "node/role_core.h"
#include "plan/plan.h"
#include "proto/node.pb.h"
#include "sim/chaos_world.h"
#include "sim/epoch_audit.h"
#include "sim/sim_channels.h"
#include "sim/sim_process.h"
#include "sim/virtual_lane.h"

namespace waferstream {

// Lifecycle: Connect -> Start -> Commit* -> Stop. A broken channel or an error of the core is
// reported as a NodeFault and stops the epoch by itself. Danger: lives until Stop's callback, or
// until its process ends; destroyed in no callback of its own.
class SimEpoch final : public SimChannelEvents {
 public:
  struct Setup {
    PrepareRequest request;
    PrepareReply reply;
    std::unique_ptr<const Plan> plan;
    std::unique_ptr<RoleCore> core;
  };
  using Report = std::function<void(NodeReport)>;

  SimEpoch(ChaosWorld& world, SimFabric& fabric, SimProcess& process, Setup setup, Report report);

  bool Is(const EpochRef& ref) const {
    return ref.job_id() == setup_.request.job_id() && ref.epoch() == setup_.request.epoch();
  }
  const Plan& plan() const { return *setup_.plan; }
  SimChannels& channels() { return channels_; }

  void Connect(SimChannels::Done done);
  absl::Status Start();
  absl::Status Commit(const CommitRequest& commit);
  void Stop(std::function<void()> stopped);
  // Whether Stop's callback was, or is to be, called at once.
  bool stopped() const { return stopping_ && channels_closed_ && Idle(); }

 private:
  absl::StatusOr<std::span<std::byte>> BufferFor(ChannelId channel,
                                                 const FrameHeader& header) override;
  absl::Status OnFrame(ChannelId channel, const FrameHeader& header) override;
  void OnCredit(ChannelId channel, FrameKind kind, const Credit& credit) override;
  void OnSent(uint64_t token) override;
  void OnBroken(ChannelId channel, const std::string& peer, const absl::Status& why) override;
  void OnLaneDone(uint64_t id, const absl::Status& status);

  Turn NewTurn() const { return {.now_s = world_.now_s(), .actions = {}}; }
  void Do(Turn& turn);
  void Do(SendAction& send) { channels_.Send(send); }
  void Do(GrantAction& grant) { channels_.Grant(grant); }
  void Do(ComputeAction& compute) {
    lanes_[static_cast<int>(compute.lane)].Run(std::move(compute));
  }
  void Do(ReportAction& action);

  void Fault(NodeFault fault);
  absl::Status CheckAlive() const;
  bool Idle() const { return lanes_[0].idle() && lanes_[1].idle(); }
  void FinishIfIdle();

  ChaosWorld& world_;
  SimProcess& process_;
  Setup setup_;
  const Report report_;
  EpochAudit audit_;
  SimChannels channels_;
  VirtualLane lanes_[static_cast<int>(Lane::kLanes)];
  bool started_ = false;
  bool stopping_ = false;
  bool channels_closed_ = false;
  std::string fault_;  // why the epoch stopped by itself
  std::optional<CommitRequest> last_commit_;
  uint64_t sequence_ = 0;
  uint64_t step_ = 0;
  std::vector<std::function<void()>> stopped_;
};

}  // namespace waferstream
