// Which controller a command talks to.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "base/credentials.h"

namespace waferstream {

struct ControllerFlags {
  std::string address = {};      // --controller; empty: not given
  std::string secret_file = {};  // --secret-file; empty: not given
  TlsFiles tls = {};             // --tls-cert, --tls-key, --tls-ca, --tls-crl
  std::string token_file = {};   // --token-file; empty: not given
};

struct ControllerAccess {
  std::string address;
  Credentials credentials;
};

// The first of: the flag, the cluster that `waferctl up` left running; and its secret: in the
// flag's file, or in the folder of the cluster of this user that has this controller
// (FindClusterOf); else none; and the user's certificate and token. INVALID_ARGUMENT: not
// host:port, a host that stands for no address, no secret, certificate or token in the file, or a
// token that would be sent in the clear to another host. UNAVAILABLE: nothing says which
// controller. PERMISSION_DENIED, NOT_FOUND: of the file.
absl::StatusOr<ControllerAccess> ResolveController(const ControllerFlags& flags);

}  // namespace waferstream
