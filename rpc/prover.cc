#include "rpc/prover.h"

#include <google/protobuf/message_lite.h>
#include <grpcpp/support/interceptor.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "rpc/proof.h"

namespace waferstream {
namespace {

using grpc::experimental::ClientRpcInfo;
using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;

// "waferstream.Node" of "/waferstream.Node/Prepare".
std::string ServiceOf(const std::string& method) { return method.substr(1, method.rfind('/') - 1); }

// What gRPC itself says when nobody answered, or what a doorkeeper says: no answer to believe in.
bool NeedsNoAnswer(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNAVAILABLE ||
         status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED ||
         status.error_code() == grpc::StatusCode::CANCELLED ||
         status.error_code() == grpc::StatusCode::UNAUTHENTICATED;
}

// Of one call.
class Prover final : public grpc::experimental::Interceptor {
 public:
  Prover(std::shared_ptr<const ClusterSecret> secret, std::string address, uint16_t port,
         const ClientRpcInfo* call)
      : secret_(std::move(secret)),
        address_(std::move(address)),
        audience_{.service = ServiceOf(call->method()), .port = port},
        proof_(MakeProof(*secret_, audience_, absl::Now())) {}

  void Intercept(InterceptorBatchMethods* methods) override {
    using Hook = InterceptionHookPoints;
    if (methods->QueryInterceptionHookPoint(Hook::PRE_SEND_INITIAL_METADATA)) {
      methods->GetSendInitialMetadata()->emplace(kProofKey, proof_);
    }
    if (methods->QueryInterceptionHookPoint(Hook::POST_RECV_INITIAL_METADATA)) {
      Hear(*methods->GetRecvInitialMetadata());
    }
    if (methods->QueryInterceptionHookPoint(Hook::POST_RECV_MESSAGE)) {
      Blank(methods->GetRecvMessage());
    }
    if (methods->QueryInterceptionHookPoint(Hook::POST_RECV_STATUS)) {
      Judge(methods->GetRecvStatus());
    }
    methods->Proceed();
  }

 private:
  template <typename Metadata>
  void Hear(const Metadata& metadata) {
    const auto found = metadata.find(kAnswerKey);
    proved_ = found != metadata.end() &&
              CheckAnswer(*secret_, audience_, proof_,
                          std::string(found->second.data(), found->second.size()));
  }

  // A stream's messages come before its status: a stranger's say nothing.
  void Blank(void* message) const {
    if (proved_ || message == nullptr) return;
    static_cast<google::protobuf::MessageLite*>(message)->Clear();
  }

  void Judge(grpc::Status* status) const {
    if (proved_ || NeedsNoAnswer(*status)) return;
    *status = grpc::Status(grpc::StatusCode::UNAUTHENTICATED,
                           absl::StrCat("denied: whoever listens on ", address_,
                                        " does not know the cluster's secret"));
  }

  const std::shared_ptr<const ClusterSecret> secret_;
  const std::string address_;
  const Audience audience_;
  const std::string proof_;
  bool proved_ = false;  // a process of the cluster answered
};

class ProverFactory final : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  ProverFactory(std::shared_ptr<const ClusterSecret> secret, std::string address, uint16_t port)
      : secret_(std::move(secret)), address_(std::move(address)), port_(port) {}

  // gRPC owns what it gets.
  grpc::experimental::Interceptor* CreateClientInterceptor(ClientRpcInfo* call) override {
    return new Prover(secret_, address_, port_, call);
  }

 private:
  const std::shared_ptr<const ClusterSecret> secret_;
  const std::string address_;
  const uint16_t port_;
};

}  // namespace

std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface> MakeProver(
    std::shared_ptr<const ClusterSecret> secret, std::string address, uint16_t port) {
  return std::make_unique<ProverFactory>(std::move(secret), std::move(address), port);
}

}  // namespace waferstream
