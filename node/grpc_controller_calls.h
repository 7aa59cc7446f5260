// The controller over gRPC, as a node sees it.
#pragma once

#include <memory>
#include <string>

#include "base/credentials.h"
#include "base/loop.h"
#include "node/control.h"
#include "proto/controller.grpc.pb.h"
#include "rpc/async_calls.h"

namespace waferstream {

class GrpcControllerCalls final : public ControllerCalls {
 public:
  // Answers are posted to `loop`, which outlives this object and runs nothing that uses it when it
  // goes.
  GrpcControllerCalls(Loop& loop, const std::string& address, const Credentials& credentials);

  void Register(const RegisterRequest& request,
                std::function<void(absl::StatusOr<RegisterReply>)> done) override;
  void Heartbeat(const HeartbeatRequest& request,
                 std::function<void(absl::StatusOr<HeartbeatReply>)> done) override;
  void Report(const NodeReport& report, std::function<void(absl::Status)> done) override;

 private:
  Loop& loop_;
  const std::shared_ptr<Controller::Stub> stub_;
  AsyncCalls calls_;  // last: they end first
};

}  // namespace waferstream
