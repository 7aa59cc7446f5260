// Who may call a service.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/time/time.h"
#include "base/credentials.h"
#include "base/line_limit.h"
#include "rpc/proof.h"

namespace grpc {
class ServerContextBase;
class Status;
}  // namespace grpc

namespace waferstream {

// Whom a method is for. Of people: who may look, who may submit, who may do everything.
enum class Caller { kController, kNode, kUser, kSubmitter, kAdmin };

// Metadata of a call of a person: "Bearer <token>".
inline constexpr char kTokenKey[] = "authorization";

// Role: lets in who proves that it knows the cluster's secret, and proves the same in the answer.
// Every method of a service asks it first; one that does not is found by the service's tests, which
// call them all. Where there are certificates, a method is for those of its role alone; where there
// are users, a person shows a token, and may do what its role says. Without any of these everybody
// is let in. Thread-safe. Outlives its service.
class Doorkeeper {
 public:
  using Log = std::function<void(const std::string& line)>;

  // `service`: its full name. `log` gets a line for a caller that was refused, not one for each.
  Doorkeeper(Credentials credentials, std::string service, Log log);

  // From now on calls may come in, on the port at which others reach the service. StartServer does
  // this.
  void Open(uint16_t port);

  // At the head of every method, which is for `who`. Not OK: return it, and do nothing else.
  // `user`, if not null, becomes the person who calls, as far as that is known; where there are no
  // users, nobody, who may do everything.
  grpc::Status Admit(grpc::ServerContextBase& context, Caller who, User* user = nullptr);

  // There are certificates.
  bool knows_roles() const { return credentials_.tls != nullptr; }
  // OK, or PERMISSION_DENIED: the caller's certificate is for another role than `role`, which it
  // claims. Of an admitted call.
  absl::Status CheckRole(const grpc::ServerContextBase& context, const std::string& role) const;

 private:
  absl::Status CheckCaller(const grpc::ServerContextBase& context, Caller who) const;
  absl::Status CheckUser(const grpc::ServerContextBase& context, Caller who, User& user) const;
  absl::Status Check(const std::string& proof);

  const Credentials credentials_;
  const std::string service_;
  const Log log_;
  LineLimit limit_;
  std::atomic<uint16_t> port_{0};             // 0: not open yet
  std::atomic<int64_t> opened_steady_ns_{0};  // by the clock that nobody sets
};

}  // namespace waferstream
