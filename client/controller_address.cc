#include "client/controller_address.h"

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/user_input.h"
#include "client/cluster_file.h"
#include "client/secret_file.h"
#include "rpc/tls_flags.h"

namespace waferstream {

namespace {

// Empty: not set, or to nothing, which is the same.
std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

absl::Status Named(const std::string& source, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(source, ": ", status.message()));
}

absl::StatusOr<Credentials> ReadNamedSecret(const std::string& source, const std::string& path) {
  absl::StatusOr<Credentials> credentials = ReadSecretFile(path);
  return credentials.ok() ? credentials : Named(source, credentials.status());
}

absl::StatusOr<std::string> FindAddress(const std::string& flag) {
  if (!flag.empty()) {
    RETURN_IF_ERROR(CheckAddress("--controller", flag));
    return flag;
  }
  const std::string variable = Variable("WAFERSTREAM_CONTROLLER");
  if (!variable.empty()) {
    RETURN_IF_ERROR(CheckAddress("WAFERSTREAM_CONTROLLER", variable));
    return variable;
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
  if (!flags.secret_file.empty()) return ReadNamedSecret("--secret-file", flags.secret_file);
  const std::string variable = Variable("WAFERSTREAM_SECRET_FILE");
  if (!variable.empty()) return ReadNamedSecret("WAFERSTREAM_SECRET_FILE", variable);
  const absl::StatusOr<std::string> dir = FindClusterOf(address);
  if (!dir.ok()) return Credentials();
  absl::StatusOr<Credentials> own = ReadSecretIn(*dir);
  if (absl::IsNotFound(own.status())) return Credentials();
  return own;
}

}  // namespace

absl::StatusOr<ControllerAccess> ResolveController(const ControllerFlags& flags) {
  ASSIGN_OR_RETURN(const std::string address, FindAddress(flags.address));
  ASSIGN_OR_RETURN(Credentials credentials, FindSecret(flags, address));
  ASSIGN_OR_RETURN(credentials.tls, ReadTls(flags.tls, "user"));
  return ControllerAccess{.address = address, .credentials = credentials};
}

}  // namespace waferstream
