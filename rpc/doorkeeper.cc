#include "rpc/doorkeeper.h"

#include <grpcpp/server_context.h>

#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "rpc/tls.h"

namespace waferstream {
namespace {

int64_t SteadyNanoseconds() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Empty: the call has none of this name.
std::string MetadataOf(const grpc::ServerContextBase& context, const char* name) {
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find(name);
  if (found == metadata.end()) return "";
  return std::string(found->second.data(), found->second.size());
}

bool IsPerson(Caller who) { return who != Caller::kController && who != Caller::kNode; }

UserRole LeastRole(Caller who) {
  if (who == Caller::kAdmin) return UserRole::kAdmin;
  return who == Caller::kSubmitter ? UserRole::kSubmitter : UserRole::kViewer;
}

bool IsOf(const std::string& role, Caller who) {
  switch (who) {
    case Caller::kController:
      return role == "controller";
    case Caller::kNode:
      return role == "memoryx" || role == "swarmx" || role == "wafer";
    case Caller::kUser:
    case Caller::kSubmitter:
    case Caller::kAdmin:
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

// What a call shows is not repeated in what is said of it: a token would be in the log.
absl::Status Doorkeeper::CheckUser(const grpc::ServerContextBase& context, Caller who,
                                   User& user) const {
  user = {.name = "", .role = UserRole::kAdmin};
  if (credentials_.users == nullptr) return absl::OkStatus();
  credentials_.users->Look();  // at a node's calls too: a quota may have changed
  if (!IsPerson(who)) return absl::OkStatus();
  const std::string shown = MetadataOf(context, kTokenKey);
  absl::string_view token = shown;
  if (!absl::ConsumePrefix(&token, "Bearer ")) {
    return absl::UnauthenticatedError(
        "denied: this controller asks for a token (waferctl --token-file)");
  }
  std::optional<User> known = credentials_.users->Find(token);
  if (!known) return absl::UnauthenticatedError("denied: the token is nobody's");
  user = *std::move(known);
  if (user.role >= LeastRole(who)) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat("denied: ", user.name, " has the role ",
                                                  WordOf(user.role), ", and this takes ",
                                                  WordOf(LeastRole(who))));
}

grpc::Status Doorkeeper::Admit(grpc::ServerContextBase& context, Caller who, User* user) {
  absl::Status status = CheckCaller(context, who);
  const std::string proof = MetadataOf(context, kProofKey);
  if (status.ok() && credentials_.secret != nullptr) status = Check(proof);
  if (status.ok() && credentials_.secret != nullptr) {
    context.AddInitialMetadata(
        kAnswerKey, MakeAnswer(*credentials_.secret, {.service = service_, .port = port_}, proof));
  }
  User unasked;
  if (status.ok()) status = CheckUser(context, who, user == nullptr ? unasked : *user);
  if (status.ok()) return grpc::Status::OK;
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
