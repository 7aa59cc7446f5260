// A node's way to the controller: registration, heartbeats, reports; the same in every world.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/loop.h"
#include "node/control.h"
#include "node/world.h"
#include "proto/controller.pb.h"

namespace waferstream {

struct ControllerLinkOptions {
  std::string node_id;  // goes into every report
  std::string address;  // of the controller; for messages
  // How long the controller may be silent: it is restarted, perhaps elsewhere, in less.
  absl::Duration patience = absl::Seconds(30);
  absl::Duration heartbeat_every = absl::Seconds(1);  // until the controller says how often
  absl::Duration retry_pause = absl::Milliseconds(200);
  // The same, for a node that was told to stop: a controller that a supervisor starts again is back
  // within two seconds; one that is longer away may have been told to stop itself.
  absl::Duration leave_patience = absl::Seconds(5);
  int reports_max = 4096;  // waiting to be sent; more is the same as a lost controller
  // HeartbeatRequest.holds, asked for at every beat. Null: the node holds nothing.
  std::function<std::optional<EpochRef>()> holds = nullptr;
};

// Role: keeps the node's lease alive and delivers reports in order, each until the controller has
// it; and takes the node out of the cluster when it is told to stop. Lifecycle: Start, once; then
// registration is retried until the controller answers. Lives on its loop; must outlive its last
// call.
class ControllerLink {
 public:
  // UNAVAILABLE: the controller is lost. Any other error: it refuses this node, with its own words.
  // Called once, perhaps from inside Report. What to do about it (end the process) is the caller's.
  using Lost = std::function<void(const absl::Status& why)>;
  // OK: nobody needs this node any more. DEADLINE_EXCEEDED: it still is, and may not stay longer;
  // the message says what is lost with it.
  using Left = std::function<void(const absl::Status& how)>;

  // All references outlive the link.
  ControllerLink(Loop& loop, ControllerCalls& controller, ControllerLinkOptions options,
                 NodeLog log, Lost lost);

  // `me` is sent at every registration.
  void Start(RegisterRequest me);
  // Also before Start.
  void Report(NodeReport report);
  // The process was told to stop: the controller hears so with every beat from now on, and the node
  // works on until it may go, or `grace` is over. `left` is called once, later, unless the link is
  // lost before: a controller that is silent keeps nobody who holds nothing, and others only for
  // leave_patience. Again: nothing.
  void Leave(absl::Duration grace, Left left);
  // The controller knows this node, by its last answer, and may use it.
  bool ready() const { return registered_ && !leaving(); }
  // Everything is delivered.
  bool quiet() const { return reports_.empty(); }

 private:
  void Beat();
  void BeatAfter(absl::Duration pause);
  void OnBeat(const absl::Status& status, bool may_go);
  std::optional<EpochRef> Held() const { return options_.holds ? options_.holds() : std::nullopt; }
  bool leaving() const { return left_.has_value(); }
  absl::Duration Patience() const;
  void Go(const absl::Status& how);
  void EndGrace(absl::Duration grace);
  void Deliver();
  void OnDelivered(const absl::Status& status);

  // What every beat says, the first one included.
  template <typename Request>
  void SayHowItIs(Request& request) const;
  // An answer of any kind is a sign of life.
  void Heard(const absl::Status& status);
  void GiveUp(const absl::Status& why);

  Loop& loop_;
  ControllerCalls& controller_;
  const ControllerLinkOptions options_;
  const NodeLog log_;
  const Lost lost_;
  std::optional<RegisterRequest> me_;  // null: not started
  std::optional<Left> left_;           // null: not leaving; holds null once it is called
  bool lost_already_ = false;
  bool registered_ = false;
  uint64_t next_beat_ = 0;  // of those that are due, only the last one counts
  bool beating_ = false;    // one is on its way
  bool silent_ = false;     // the last beat was, so that a silence is logged once
  absl::Duration heartbeat_every_;
  double heard_s_ = 0;
  std::deque<NodeReport> reports_;  // once started, the first one is on its way
};

}  // namespace waferstream
