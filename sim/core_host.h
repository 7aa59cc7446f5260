// One role core on virtual time: what node/node_shell is in production.
//
// It calls the core one event at a time, carries out what the core asks for, and runs its lanes.
// Work on a lane takes virtual time; that it may touch its memory at any moment of that time is
// tried out by running it at the beginning or at the end, as the seed has it.
//
// Single-threaded; lives as long as the shell that owns it.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/hash.h"
#include "node/role_core.h"
#include "sim/delays.h"
#include "sim/event_queue.h"

namespace waferstream {

class VirtualFabric;

// What all hosts of one simulation share. `parallel` runs lane work; `trace` takes in every event;
// `on_report` hears what cores tell the controller; `failure` is the first thing that went wrong.
struct SimWorld {
  using ReportHandler = std::function<void(const Endpoint& from, const NodeReport&)>;

  EventQueue queue;
  Delays delays;
  Parallel* parallel;
  Hash128 trace;
  ReportHandler on_report;
  absl::Status failure;
};

class CoreHost {
 public:
  // `self.node` is not used. The core, the world and the fabric outlive the host.
  CoreHost(Endpoint self, RoleCore* core, SimWorld* world, VirtualFabric* fabric);

  const Endpoint& self() const { return self_; }

  void Start();
  void Commit(const CommitRequest& request);
  // A frame: asks for the buffer, copies the payload there and hands it over.
  void Receive(ChannelId channel, const FrameHeader& header, const std::byte* payload);
  void Credited(ChannelId channel, FrameKind kind, const Credit& credit);
  void Sent(uint64_t token);

 private:
  enum class Event : uint64_t { kStart, kCommit, kFrame, kCredit, kSent, kDone };

  // Records the event, lets `call` see it, and does what the core wants.
  void Handle(Event event, uint64_t detail, const std::function<absl::Status(Turn&)>& call);
  void Perform(Action& action);
  void RunLane(Lane lane);
  void Fail(const absl::Status& status);

  const Endpoint self_;
  RoleCore* const core_;
  SimWorld* const world_;
  VirtualFabric* const fabric_;
  // Work that has not yet ended; the first of each lane is running.
  std::array<std::deque<ComputeAction>, static_cast<size_t>(Lane::kLanes)> lanes_;
};

}  // namespace waferstream
