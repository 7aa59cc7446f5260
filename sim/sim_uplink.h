// A simulated node's way to the controller: node/controller_link on virtual time.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>

#include "absl/status/status.h"
#include "proto/controller.pb.h"
#include "sim/chaos_world.h"
#include "sim/control_call.h"
#include "sim/sim_process.h"

namespace waferstream {

// The controller as nodes see it.
class SimControllerService {
 public:
  virtual ~SimControllerService() = default;
  virtual SimProcess& process() = 0;
  virtual void Register(const RegisterRequest& request, ControlAnswer answer) = 0;
  virtual void Heartbeat(const HeartbeatRequest& request, ControlAnswer answer) = 0;
  virtual void Report(const NodeReport& report, ControlAnswer answer) = 0;
};

// Keeps the lease alive and delivers reports in order, each until the controller has it. `lost`:
// the controller was silent for too long, or refuses this node. `holds`: HeartbeatRequest.holds.
// Lives in one life of its process.
class SimUplink {
 public:
  SimUplink(ChaosWorld& world, SimProcess& process, SimControllerService& controller,
            RegisterRequest me, std::function<std::optional<EpochRef>()> holds,
            std::function<void(const absl::Status&)> lost);

  void Report(NodeReport report);
  bool quiet() const { return reports_.empty(); }

 private:
  static constexpr size_t kReportsMax = 4096;  // as in production

  void Beat();
  template <typename Request>
  void SayWhatIsHeld(Request& request) const;
  void OnBeat(const absl::StatusOr<ControlReply>& reply);
  void Deliver();
  void OnDelivered(const absl::Status& status);
  void Call(std::function<void(ControlAnswer)> serve, ControlAnswer done);

  ChaosWorld& world_;
  SimProcess& process_;
  SimControllerService& controller_;
  RegisterRequest me_;
  const std::function<std::optional<EpochRef>()> holds_;
  const std::function<void(const absl::Status&)> lost_;
  std::deque<NodeReport> reports_;  // the first one is on its way
  bool registered_ = false;
  int64_t heartbeat_ns_;
  int64_t heard_ns_;  // an answer of any kind
};

}  // namespace waferstream
