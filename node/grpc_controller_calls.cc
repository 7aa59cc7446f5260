#include "node/grpc_controller_calls.h"

#include <utility>

#include "rpc/channel.h"

namespace waferstream {
namespace {

using Methods = Controller::StubInterface::async_interface;

// Many of these fit into the patience of a node (ControllerLinkOptions), so that one call that
// hangs does not use it up.
constexpr CallTerms kTerms = {.timeout = absl::Seconds(3)};

// A controller that stops cancels what it has not answered: that is silence, and no refusal.
absl::Status AnswerOf(const absl::Status& status) {
  return absl::IsCancelled(status) ? absl::UnavailableError("the call was cancelled") : status;
}

}  // namespace

GrpcControllerCalls::GrpcControllerCalls(Loop& loop, const std::string& address,
                                         const Credentials& credentials)
    : loop_(loop),
      stub_(Controller::NewStub(OpenChannel(address, kNodeToController, credentials))) {}

void GrpcControllerCalls::Register(const RegisterRequest& request,
                                   std::function<void(absl::StatusOr<RegisterReply>)> done) {
  calls_.Make<Controller::Stub, Methods, RegisterRequest, RegisterReply>(
      stub_, &Methods::Register, request, kTerms,
      [&loop = loop_, done = std::move(done)](const absl::Status& status, RegisterReply& reply) {
        loop.Post([done, answer = status.ok() ? absl::StatusOr<RegisterReply>(reply)
                                              : AnswerOf(status)] { done(answer); });
      });
}

void GrpcControllerCalls::Heartbeat(const HeartbeatRequest& request,
                                    std::function<void(absl::StatusOr<HeartbeatReply>)> done) {
  calls_.Make<Controller::Stub, Methods, HeartbeatRequest, HeartbeatReply>(
      stub_, &Methods::Heartbeat, request, kTerms,
      [&loop = loop_, done = std::move(done)](const absl::Status& status, HeartbeatReply& reply) {
        loop.Post([done, answer = status.ok() ? absl::StatusOr<HeartbeatReply>(reply)
                                              : AnswerOf(status)] { done(answer); });
      });
}

void GrpcControllerCalls::Report(const NodeReport& report, std::function<void(absl::Status)> done) {
  calls_.Make<Controller::Stub, Methods, NodeReport, Empty>(
      stub_, &Methods::Report, report, kTerms,
      [&loop = loop_, done = std::move(done)](const absl::Status& status, Empty&) {
        loop.Post([done, answer = AnswerOf(status)] { done(answer); });
      });
}

}  // namespace waferstream
