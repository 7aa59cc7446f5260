#include "client/controller_address.h"

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "base/host_port.h"
#include "base/status.h"
#include "base/user_input.h"
#include "client/cluster_file.h"
#include "client/secret_file.h"
#include "rpc/tls_flags.h"

namespace waferstream {

namespace {

absl::StatusOr<std::string> FindAddress(const std::string& flag) {
  if (!flag.empty()) {
    RETURN_IF_ERROR(CheckAddress("--controller", flag));
    RETURN_IF_ERROR(CheckHostOf("--controller", flag));
    return flag;
  }
  const absl::StatusOr<std::string> dir = DefaultClusterDir();
  const absl::StatusOr<ClusterFile> cluster = dir.ok() ? ReadClusterFile(*dir) : dir.status();
  if (cluster.ok() && !cluster->controller.empty()) {
    if (!IsSupervised(*cluster)) {
      std::fprintf(stderr,
                   "waferctl: note: nobody watches over the cluster any more (its supervisor has "
                   "ended); `waferctl up` takes it over\n");
    }
    return cluster->controller;
  }
  return absl::UnavailableError(
      "controller: none is known; give --controller host:port, set WAFERSTREAM_CONTROLLER, or "
      "start a cluster with `waferctl up`");
}

// A secret is shown, if only in proofs, to nobody but the controller that it belongs to.
absl::StatusOr<Credentials> FindSecret(const ControllerFlags& flags, const std::string& address) {
  if (!flags.secret_file.empty()) {
    absl::StatusOr<Credentials> named = ReadSecretFile(flags.secret_file);
    if (named.ok()) return named;
    return absl::Status(named.status().code(),
                        absl::StrCat("--secret-file: ", named.status().message()));
  }
  const absl::StatusOr<std::string> dir = FindClusterOf(address);
  if (!dir.ok()) return Credentials();
  absl::StatusOr<Credentials> own = ReadSecretIn(*dir);
  if (absl::IsNotFound(own.status())) return Credentials();
  return own;
}

absl::StatusOr<std::string> FindToken(const ControllerFlags& flags, const std::string& address,
                                      bool encrypted) {
  if (flags.token_file.empty()) return "";
  absl::StatusOr<std::string> token = ReadTokenFile(flags.token_file);
  if (!token.ok()) {
    return absl::Status(token.status().code(),
                        absl::StrCat("--token-file: ", token.status().message()));
  }
  if (encrypted) return token;
  ASSIGN_OR_RETURN(const HostPort at, SplitHostPort(address));
  const absl::StatusOr<std::string> literal = ResolveHost(at.host);
  if (literal.ok() && IsLoopback(*literal)) return token;
  return absl::InvalidArgumentError(
      absl::StrCat("--token-file: the token would be sent in the clear to ", at.host,
                   "; give --tls-cert, --tls-key and --tls-ca"));
}

}  // namespace

absl::StatusOr<ControllerAccess> ResolveController(const ControllerFlags& flags) {
  ASSIGN_OR_RETURN(const std::string address, FindAddress(flags.address));
  ASSIGN_OR_RETURN(Credentials credentials, FindSecret(flags, address));
  ASSIGN_OR_RETURN(credentials.tls, ReadTls(flags.tls, "user"));
  ASSIGN_OR_RETURN(credentials.token, FindToken(flags, address, credentials.tls != nullptr));
  return ControllerAccess{.address = address, .credentials = credentials};
}

}  // namespace waferstream
