// The flags by which a process says who it is by certificate, the same for all that connect.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/tls_identity.h"

namespace CLI {
class App;
}

namespace waferstream {

// --tls-cert, --tls-key, --tls-ca, --tls-crl.
void AddTlsFlags(CLI::App& app, TlsFiles& files);

// Null: none is given. One line that names the flag: one is missing, a file is no good
// (TlsIdentity::Load), or the certificate is of another role than `role`.
absl::StatusOr<std::shared_ptr<const TlsIdentity>> ReadTls(const TlsFiles& files,
                                                           const std::string& role);

}  // namespace waferstream
