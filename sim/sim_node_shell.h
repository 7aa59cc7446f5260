// What a simulated node does with the controller's calls: node/node_shell on virtual time.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/node_call.h"
#include "node/role.h"
#include "proto/node.pb.h"
#include "sim/control_call.h"
#include "sim/sim_epoch.h"
#include "sim/sim_fabric.h"

namespace waferstream {

// Prepare, SealCheckpoint and Release take time and run one at a time; the others only visit.
// Lives in one life of its process.
class SimNodeShell final : public SimAcceptor {
 public:
  SimNodeShell(ChaosWorld& world, SimFabric& fabric, SimProcess& process, NodeRole& role,
               SimEpoch::Report report);

  void Serve(const NodeRequest& request, ControlAnswer answer);
  // Nothing is prepared, and nothing is about to be.
  bool idle() const { return current_ == nullptr && controls_.empty(); }
  // HeartbeatRequest.holds.
  const std::optional<EpochRef>& holds() const { return held_; }

  // SimAcceptor
  absl::StatusOr<const Plan*> Admit(const Hello& theirs) override;
  void Adopt(const Hello& theirs, std::shared_ptr<ChannelEnd> channel) override;

 private:
  using Next = std::function<void()>;
  using Control = std::function<void(Next)>;

  void Serve(const PrepareRequest& request, ControlAnswer answer);
  void Serve(const ConnectCall& call, ControlAnswer answer);
  void Serve(const StartCall& call, ControlAnswer answer);
  void Serve(const CommitRequest& commit, ControlAnswer answer);
  void Serve(const SealRequest& request, ControlAnswer answer);
  void Serve(const ReleaseCall& call, ControlAnswer answer);

  // Runs `control` when those before it are over; it calls its argument at its end.
  void Enqueue(Control control);
  void RunControl();
  absl::StatusOr<ControlReply> Prepare(const PrepareRequest& request);
  absl::StatusOr<ControlReply> Seal(const SealRequest& request);
  absl::Status Check(const PrepareRequest& request) const;
  absl::StatusOr<SimEpoch*> Find(const EpochRef& ref) const;
  // `then` once nothing is prepared.
  void StopCurrent(Next then);

  ChaosWorld& world_;
  SimFabric& fabric_;
  SimProcess& process_;
  NodeRole& role_;
  const SimEpoch::Report report_;
  std::deque<Control> controls_;  // the first one is running
  std::unique_ptr<SimEpoch> current_;
  std::string prepared_;  // the request, serialised; empty: nothing is
  PrepareReply prepared_reply_;
  EpochRef newest_;               // prepared last, released or not
  std::optional<EpochRef> held_;  // newest_, until it is released
};

}  // namespace waferstream
