#include "rpc/doorkeeper.h"

#include <grpcpp/server_context.h>

#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace waferstream {
namespace {

int64_t SteadyNanoseconds() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string ProofOf(const grpc::ServerContextBase& context) {
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find(kProofKey);
  if (found == metadata.end()) return "";
  return std::string(found->second.data(), found->second.size());
}

}  // namespace

Doorkeeper::Doorkeeper(Credentials credentials, std::string service, Log log)
    : credentials_(std::move(credentials)), service_(std::move(service)), log_(std::move(log)) {}

void Doorkeeper::Open(uint16_t port) {
  opened_steady_ns_ = SteadyNanoseconds();
  port_ = port;
}

grpc::Status Doorkeeper::Admit(grpc::ServerContextBase& context) {
  if (credentials_.secret == nullptr) return grpc::Status::OK;
  const std::string proof = ProofOf(context);
  const absl::Status status = Check(proof);
  if (status.ok()) {
    context.AddInitialMetadata(
        kAnswerKey, MakeAnswer(*credentials_.secret, {.service = service_, .port = port_}, proof));
    return grpc::Status::OK;
  }
  const auto line =
      limit_.Pass(absl::StrCat("refused a call from ", context.peer(), ": ", status.message()));
  if (line) log_(*line);
  // The details tell a caller that this is not gRPC's own UNAVAILABLE: who is refused with it may
  // try again at once, with a proof made then.
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message()), service_};
}

absl::Status Doorkeeper::Check(const std::string& proof) {
  const uint16_t port = port_;
  if (port == 0) return absl::UnavailableError("this process begins to listen");
  return CheckProof(*credentials_.secret, {.service = service_, .port = port}, proof, absl::Now(),
                    absl::Nanoseconds(SteadyNanoseconds() - opened_steady_ns_));
}

}  // namespace waferstream
