// What a controller and a node say to one another, as values and as an interface each way. In
// production it is gRPC (proto/controller.proto, proto/node.proto), in a simulation calls that are
// lost, delayed and served twice; so every call is idempotent.
#pragma once

#include <functional>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/controller.pb.h"
#include "proto/node.pb.h"

namespace waferstream {

// Of any message that names an epoch of a job.
template <typename Message>
EpochRef RefOf(const Message& message) {
  EpochRef ref;
  ref.set_job_id(message.job_id());
  ref.set_epoch(message.epoch());
  return ref;
}

// The three calls whose request is an EpochRef, told apart by type.
struct ConnectCall {
  EpochRef epoch;
};
struct StartCall {
  EpochRef epoch;
};
struct ReleaseCall {
  EpochRef epoch;
};

// To a node.
using NodeRequest =
    std::variant<PrepareRequest, ConnectCall, StartCall, CommitRequest, SealRequest, ReleaseCall>;

// Empty for the calls that answer with nothing.
using NodeReply = std::variant<Empty, PrepareReply, SealReply>;
using NodeAnswer = std::function<void(absl::StatusOr<NodeReply>)>;

// Nobody answered: whether the call was carried out is not known. The other side may be restarting,
// or the way to it is cut.
inline bool IsSilence(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

// The controller as a node sees it. Every call is made on the node's loop and answered there, once,
// later; with silence (IsSilence) in the end if nothing else comes.
class ControllerCalls {
 public:
  virtual ~ControllerCalls() = default;
  virtual void Register(const RegisterRequest& request,
                        std::function<void(absl::StatusOr<RegisterReply>)> done) = 0;
  virtual void Heartbeat(const HeartbeatRequest& request,
                         std::function<void(absl::StatusOr<HeartbeatReply>)> done) = 0;
  virtual void Report(const NodeReport& report, std::function<void(absl::Status)> done) = 0;
};

}  // namespace waferstream
