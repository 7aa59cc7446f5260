// The controller as a simulated node sees it.
#pragma once

#include <functional>

#include "node/control.h"
#include "sim/control_call.h"
#include "sim/sim_process.h"
#include "sim/sim_world.h"

namespace waferstream {

// Who serves them.
class SimControllerService {
 public:
  virtual ~SimControllerService() = default;
  virtual SimProcess& process() = 0;
  // Of the present life of the process, in which alone it may be asked.
  virtual ControllerCalls& calls() = 0;
};

// The calls of one life of a node's process: late, lost, served twice.
class SimControllerCalls final : public ControllerCalls {
 public:
  SimControllerCalls(SimWorld& world, SimProcess& process, SimControllerService& controller)
      : world_(world), process_(process), controller_(controller) {}

  void Register(const RegisterRequest& request,
                std::function<void(absl::StatusOr<RegisterReply>)> done) override {
    Make<RegisterReply>([to = &controller_, request](
                            auto answer) { to->calls().Register(request, std::move(answer)); },
                        std::move(done));
  }
  void Heartbeat(const HeartbeatRequest& request,
                 std::function<void(absl::StatusOr<HeartbeatReply>)> done) override {
    Make<HeartbeatReply>([to = &controller_, request](
                             auto answer) { to->calls().Heartbeat(request, std::move(answer)); },
                         std::move(done));
  }
  void Report(const NodeReport& report, std::function<void(absl::Status)> done) override {
    Make<Empty>(
        [to = &controller_, report](auto answer) { to->calls().Report(report, Plain(answer)); },
        [done = std::move(done)](const absl::StatusOr<Empty>& reply) { done(reply.status()); });
  }

 private:
  static std::function<void(absl::Status)> Plain(
      std::function<void(absl::StatusOr<Empty>)> answer) {
    return [answer = std::move(answer)](const absl::Status& status) {
      answer(status.ok() ? absl::StatusOr<Empty>(Empty()) : status);
    };
  }

  template <typename Reply>
  void Make(std::function<void(typename ControlCall<Reply>::Answer)> serve,
            typename ControlCall<Reply>::Answer done) {
    ControlFlight<Reply>::Begin(
        world_, {.from = &process_,
                 .to = &controller_.process(),
                 .serve = std::move(serve),
                 .done = done,
                 .refused = [done] { done(absl::UnavailableError("connection refused")); },
                 .timeout_ns = world_.pace.call_timeout_ns});
  }

  SimWorld& world_;
  SimProcess& process_;
  SimControllerService& controller_;
};

}  // namespace waferstream
