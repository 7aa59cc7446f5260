#include "rpc/tls_flags.h"

#include <CLI/CLI.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/flags.h"

namespace waferstream {

void AddTlsFlags(CLI::App& app, TlsFiles& files) {
  AddPath(app, "--tls-cert", files.certificate,
          "This process's certificate, PEM [connections are in the clear]");
  AddPath(app, "--tls-key", files.key, "Its private key, PEM");
  AddPath(app, "--tls-ca", files.authority, "The authority whose certificates are believed, PEM");
  AddPath(app, "--tls-crl", files.revoked,
          "The authority's list of certificates that it has revoked, PEM [none are]");
}

absl::StatusOr<std::shared_ptr<const TlsIdentity>> ReadTls(const TlsFiles& files,
                                                           const std::string& role) {
  const std::pair<const char*, const std::string*> kFlags[] = {{"--tls-cert", &files.certificate},
                                                               {"--tls-key", &files.key},
                                                               {"--tls-ca", &files.authority}};
  const char* given = nullptr;
  const char* missing = nullptr;
  for (const auto& [flag, path] : kFlags) (path->empty() ? missing : given) = flag;
  if (given == nullptr && !files.revoked.empty()) given = "--tls-crl";
  if (given == nullptr) return nullptr;
  if (missing != nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(missing, ": is missing beside ", given));
  }
  auto identity = TlsIdentity::Load(files);
  if (!identity.ok()) {
    return absl::Status(identity.status().code(),
                        absl::StrCat("--tls-cert: ", identity.status().message()));
  }
  if ((*identity)->role() == role) return identity;
  return absl::InvalidArgumentError(absl::StrCat("--tls-cert: ", files.certificate, " is of role ",
                                                 (*identity)->role(), ", and this process is ",
                                                 role));
}

}  // namespace waferstream
