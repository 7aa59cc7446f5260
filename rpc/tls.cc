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

// After the handshake, in which the certificate was found to be the authority's.
class CalleeVerifier final : public tls::ExternalCertificateVerifier {
 public:
  CalleeVerifier(std::string host, std::vector<std::string> roles)
      : host_(std::move(host)), roles_(std::move(roles)) {}

  bool Verify(tls::TlsCustomVerificationCheckRequest* request, std::function<void(grpc::Status)>,
              grpc::Status* status) override {
    *status = Judge(*request);
    return true;  // at once
  }
  void Cancel(tls::TlsCustomVerificationCheckRequest*) override {}

 private:
  grpc::Status Judge(const tls::TlsCustomVerificationCheckRequest& request) const {
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

std::shared_ptr<grpc::ChannelCredentials> TlsForCaller(const TlsIdentity& identity,
                                                       const std::string& host,
                                                       std::vector<std::string> roles) {
  tls::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(Watch(identity.files()));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_certificate_verifier(
      tls::ExternalCertificateVerifier::Create<CalleeVerifier>(host, std::move(roles)));
  options.set_check_call_host(false);  // the verifier does
  return tls::TlsCredentials(options);
}

std::shared_ptr<grpc::ServerCredentials> TlsForServer(const TlsIdentity& identity) {
  tls::TlsServerCredentialsOptions options(Watch(identity.files()));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
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
