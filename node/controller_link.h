// A node's way to the controller: registration, heartbeats, reports.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/credentials.h"
#include "proto/controller.grpc.pb.h"

namespace waferstream {

struct ControllerLinkOptions {
  std::string node_id;  // goes into every report
  std::string address;  // of the controller, host:port
  Credentials credentials = {};
  // How long the controller may be silent: it is restarted, perhaps elsewhere, in less.
  absl::Duration patience = absl::Seconds(30);
  int reports_max = 4096;  // waiting to be sent; more is the same as a lost controller
};

// Role: keeps the node's lease alive, on a thread of its own so that no kernel or disk delays it,
// and delivers reports in order, each until the controller has it, on another.
// Lifecycle: Start, once; then registration is retried until the controller answers. Destruction
// drops what is not delivered. Report may be called from any thread, before Start too, and does not
// block.
class ControllerLink {
 public:
  // UNAVAILABLE: the controller is lost. Any other error: it refuses this node, with its own words.
  // Called once, from one of the link's threads or from Report. What to do about it (end the
  // process) is the caller's.
  using Lost = std::function<void(const absl::Status& why)>;

  ControllerLink(ControllerLinkOptions options, Lost lost);
  ~ControllerLink();

  // `me` is sent at every registration.
  void Start(RegisterRequest me);
  void Report(NodeReport report);

 private:
  void Beat();
  void Deliver();
  absl::Status RegisterOnce();
  absl::Status HeartbeatOnce();
  absl::Status ReportOnce(const NodeReport& report);
  // One call with a deadline; an answer of any kind renews last_heard_.
  template <typename Request, typename Reply>
  absl::Status Call(grpc::Status (Controller::Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Reply*),
                    const Request& request, Reply* reply);

  absl::Duration PauseAfter(const absl::Status& status);
  bool SilentTooLong();
  absl::Status SilenceError(const absl::Status& last) const;
  void GiveUp(const absl::Status& why);
  bool WaitForStop(absl::Duration at_most);

  const ControllerLinkOptions options_;
  const Lost lost_;
  const std::unique_ptr<Controller::Stub> stub_;
  RegisterRequest me_;  // fixed once the threads run

  absl::Mutex mutex_;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  bool lost_already_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Time last_heard_ ABSL_GUARDED_BY(mutex_) = absl::Now();
  absl::Duration heartbeat_every_ ABSL_GUARDED_BY(mutex_) = absl::Seconds(1);
  std::deque<NodeReport> reports_ ABSL_GUARDED_BY(mutex_);
  std::thread beat_;
  std::thread deliver_;
};

}  // namespace waferstream
