#include "rpc/doorkeeper.h"

#include <grpcpp/server_context.h>

#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "rpc/tls.h"

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

bool IsOf(const std::string& role, Caller who) {
  switch (who) {
    case Caller::kController:
      return role == "controller";
    case Caller::kNode:
      return role == "memoryx" || role == "swarmx" || role == "wafer";
    case Caller::kUser:
      return role == "user";
  }
  return false;
}

}  // namespace

Doorkeeper::Doorkeeper(Credentials credentials, std::string service, Log log)
    : credentials_(std::move(credentials)), service_(std::move(service)), log_(std::move(log)) {}

void Doorkeeper::Open(uint16_t port) {
  opened_steady_ns_ = SteadyNanoseconds();
  port_ = port;
}

absl::Status Doorkeeper::CheckCaller(const grpc::ServerContextBase& context, Caller who) const {
  if (credentials_.tls == nullptr) return absl::OkStatus();
  const std::string role = CallerRole(context);
  if (IsOf(role, who)) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("denied: the caller's certificate is of role '", role, "'"));
}

absl::Status Doorkeeper::CheckRole(const grpc::ServerContextBase& context,
                                   const std::string& role) const {
  if (credentials_.tls == nullptr) return absl::OkStatus();
  const std::string proven = CallerRole(context);
  if (proven == role) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("denied: the certificate is of role '", proven, "', and claims ", role));
}

grpc::Status Doorkeeper::Admit(grpc::ServerContextBase& context, Caller who) {
  absl::Status status = CheckCaller(context, who);
  const std::string proof = ProofOf(context);
  if (status.ok() && credentials_.secret != nullptr) status = Check(proof);
  if (status.ok()) {
    if (credentials_.secret == nullptr) return grpc::Status::OK;
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
