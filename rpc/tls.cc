#include "rpc/tls.h"

#include <grpcpp/security/auth_context.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <grpcpp/server_context.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "base/certificate.h"

namespace waferstream {
namespace {

namespace tls = grpc::experimental;

constexpr unsigned kLookEverySeconds = 5;

std::shared_ptr<tls::FileWatcherCertificateProvider> Watch(const TlsFiles& files) {
  return std::make_shared<tls::FileWatcherCertificateProvider>(files.key, files.certificate,
                                                               files.authority, kLookEverySeconds);
}

std::vector<std::string> Strings(const std::vector<grpc::string_ref>& refs) {
  std::vector<std::string> strings;
  strings.reserve(refs.size());
  for (const grpc::string_ref& ref : refs) strings.emplace_back(ref.data(), ref.size());
  return strings;
}

// The peer's own certificate first. A server's "full chain" is without it, a caller's has it twice.
std::string ChainOf(const tls::TlsCustomVerificationCheckRequest& request) {
  const grpc::string_ref own = request.peer_cert(), all = request.peer_cert_full_chain();
  return absl::StrCat(absl::string_view(own.data(), own.size()), "\n",
                      absl::string_view(all.data(), all.size()));
}

// After the handshake, in which the certificate was found to be the authority's. gRPC's own check
// knows of no revocations.
class PeerVerifier : public tls::ExternalCertificateVerifier {
 public:
  explicit PeerVerifier(std::shared_ptr<const TlsIdentity> identity)
      : identity_(std::move(identity)) {}

  bool Verify(tls::TlsCustomVerificationCheckRequest* request, std::function<void(grpc::Status)>,
              grpc::Status* status) override {
    const absl::Status believed = identity_->Verify(ChainOf(*request));
    *status = believed.ok() ? Judge(*request)
                            : grpc::Status(grpc::StatusCode::UNAUTHENTICATED,
                                           std::string(believed.message()));
    return true;  // at once
  }
  void Cancel(tls::TlsCustomVerificationCheckRequest*) override {}

 private:
  virtual grpc::Status Judge(const tls::TlsCustomVerificationCheckRequest&) const {
    return grpc::Status::OK;
  }

  const std::shared_ptr<const TlsIdentity> identity_;
};

class CalleeVerifier final : public PeerVerifier {
 public:
  CalleeVerifier(std::shared_ptr<const TlsIdentity> identity, std::string host,
                 std::vector<std::string> roles)
      : PeerVerifier(std::move(identity)), host_(std::move(host)), roles_(std::move(roles)) {}

 private:
  grpc::Status Judge(const tls::TlsCustomVerificationCheckRequest& request) const override {
    const std::string role = RoleOfUris(Strings(request.uri_names()));
    if (std::find(roles_.begin(), roles_.end(), role) == roles_.end()) {
      return {grpc::StatusCode::UNAUTHENTICATED,
              absl::StrCat("denied: the certificate of ", host_, " is of role '", role, "', not ",
                           absl::StrJoin(roles_, " or "))};
    }
    std::vector<std::string> names = Strings(request.dns_names());
    for (std::string& address : Strings(request.ip_names())) names.push_back(std::move(address));
    if (IsFor(names, host_)) return grpc::Status::OK;
    return {grpc::StatusCode::UNAUTHENTICATED,
            absl::StrCat("denied: the certificate is for ", absl::StrJoin(names, ", "),
                         ", not for ", host_)};
  }

  const std::string host_;
  const std::vector<std::string> roles_;
};

}  // namespace

std::shared_ptr<grpc::ChannelCredentials> TlsForCaller(std::shared_ptr<const TlsIdentity> identity,
                                                       const std::string& host,
                                                       std::vector<std::string> roles) {
  tls::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(Watch(identity->files()));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_certificate_verifier(tls::ExternalCertificateVerifier::Create<CalleeVerifier>(
      std::move(identity), host, std::move(roles)));
  options.set_check_call_host(false);  // the verifier does
  return tls::TlsCredentials(options);
}

std::shared_ptr<grpc::ServerCredentials> TlsForServer(std::shared_ptr<const TlsIdentity> identity) {
  tls::TlsServerCredentialsOptions options(Watch(identity->files()));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.set_certificate_verifier(
      tls::ExternalCertificateVerifier::Create<PeerVerifier>(std::move(identity)));
  return tls::TlsServerCredentials(options);
}

std::string CallerRole(const grpc::ServerContextBase& context) {
  const std::shared_ptr<const grpc::AuthContext> caller = context.auth_context();
  if (caller == nullptr || !caller->IsPeerAuthenticated()) return "";
  return RoleOfUris(Strings(caller->FindPropertyValues(GRPC_PEER_URI_PROPERTY_NAME)));
}

bool IsFor(const std::vector<std::string>& names, const std::string& host) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    if (absl::EqualsIgnoreCase(name, host)) return true;
    const size_t dot = host.find('.');
    return absl::StartsWith(name, "*.") && dot != std::string::npos && dot > 0 &&
           absl::EqualsIgnoreCase(name.substr(1), host.substr(dot));
  });
}

}  // namespace waferstream
