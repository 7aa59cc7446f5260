#include "base/tls_identity.h"

#include <openssl/err.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/certificate.h"
#include "base/regular_file.h"
#include "base/status.h"

namespace waferstream {
namespace {

constexpr size_t kPemBytesMax = 1 << 20;

struct Identity {
  std::string role;
  std::shared_ptr<SSL_CTX> context;
};

// Like ssh with its keys; root is nobody to hide from, and a group may be trusted with it.
absl::Status CheckSecrecy(const std::string& path) {
  struct stat about;
  if (stat(path.c_str(), &about) != 0 || (about.st_mode & 07) == 0) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrFormat("%s: everybody can read or change it (mode %04o); `chmod 600` it", path,
                      about.st_mode & 07777));
}

absl::Status CheckTime(const std::string& path, const X509& certificate) {
  const absl::Time now = absl::Now();
  const auto day = [](absl::Time time) {
    return absl::FormatTime(absl::RFC3339_sec, time, absl::UTCTimeZone());
  };
  if (now > NotAfter(certificate)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": expired on ", day(NotAfter(certificate))));
  }
  if (now >= NotBefore(certificate)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": is not valid before ", day(NotBefore(certificate))));
}

absl::StatusOr<std::string> CheckCertificate(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string pem, ReadRegularFile(path, kPemBytesMax));
  ASSIGN_OR_RETURN(const CertificatePtr certificate, ParseCertificate(path, pem));
  RETURN_IF_ERROR(CheckTime(path, *certificate));
  std::string role = RoleOfUris(UrisOf(*certificate));
  if (!role.empty()) return role;
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": has no role (a URI like ", UriOfRole("wafer"), " among its names)"));
}

// X509_V_OK, or why a certificate is not believed.
int VerifyBy(SSL_CTX* context, X509* certificate, STACK_OF(X509) * between) {
  X509_STORE_CTX* check = X509_STORE_CTX_new();
  const bool ready =
      X509_STORE_CTX_init(check, SSL_CTX_get_cert_store(context), certificate, between) == 1;
  const bool good = ready && X509_verify_cert(check) == 1;
  const int error = ready ? X509_STORE_CTX_get_error(check) : X509_V_ERR_OUT_OF_MEM;
  X509_STORE_CTX_free(check);
  return good ? X509_V_OK : error;
}

bool IsOfTheList(int error) {
  return error == X509_V_ERR_UNABLE_TO_GET_CRL || error == X509_V_ERR_CRL_SIGNATURE_FAILURE ||
         error == X509_V_ERR_CRL_NOT_YET_VALID || error == X509_V_ERR_CRL_HAS_EXPIRED;
}

absl::Status CheckIssued(SSL_CTX* context, const TlsFiles& files) {
  STACK_OF(X509)* between = nullptr;
  SSL_CTX_get0_chain_certs(context, &between);
  const int error = VerifyBy(context, SSL_CTX_get0_certificate(context), between);
  if (error == X509_V_OK) return absl::OkStatus();
  const char* why = X509_verify_cert_error_string(error);
  if (error == X509_V_ERR_CERT_REVOKED) {
    return absl::InvalidArgumentError(
        absl::StrCat(files.certificate, ": is revoked, by ", files.revoked));
  }
  if (IsOfTheList(error)) {
    return absl::InvalidArgumentError(absl::StrCat(files.revoked, ": ", why));
  }
  return absl::InvalidArgumentError(
      absl::StrCat(files.certificate, ": is not of the authority in ", files.authority, ": ", why));
}

// From now on a certificate must also not be on the authority's list.
absl::Status LoadRevoked(SSL_CTX* context, const std::string& path) {
  if (path.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(ReadRegularFile(path, kPemBytesMax).status());
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  X509_LOOKUP* const files = X509_STORE_add_lookup(store, X509_LOOKUP_file());
  if (files == nullptr || X509_load_crl_file(files, path.c_str(), X509_FILETYPE_PEM) < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": has no list of revoked certificates in PEM"));
  }
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<SSL_CTX>> MakeContext(const TlsFiles& files) {
  ERR_clear_error();
  const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_method()), SSL_CTX_free);
  if (context == nullptr) return absl::InternalError("TLS is not to be had");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  // A connection is one epoch's; nobody takes one up again.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 0);
  if (SSL_CTX_load_verify_file(context.get(), files.authority.c_str()) != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(files.authority, ": has no certificates in PEM"));
  }
  RETURN_IF_ERROR(LoadRevoked(context.get(), files.revoked));
  if (SSL_CTX_use_certificate_chain_file(context.get(), files.certificate.c_str()) != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(files.certificate, ": is not a certificate in PEM"));
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(files.key, ": is not the private key of ", files.certificate));
  }
  RETURN_IF_ERROR(CheckIssued(context.get(), files));
  return context;
}

absl::StatusOr<Identity> Check(const TlsFiles& files) {
  for (const std::string* path : {&files.authority, &files.key}) {
    RETURN_IF_ERROR(ReadRegularFile(*path, kPemBytesMax).status());
  }
  RETURN_IF_ERROR(CheckSecrecy(files.key));
  Identity identity;
  ASSIGN_OR_RETURN(identity.role, CheckCertificate(files.certificate));
  ASSIGN_OR_RETURN(identity.context, MakeContext(files));
  return identity;
}

}  // namespace

TlsIdentity::Stamps TlsIdentity::StampsOf(const TlsFiles& files) {
  Stamps stamps = {};
  size_t i = 0;
  for (const std::string* path :
       {&files.certificate, &files.key, &files.authority, &files.revoked}) {
    struct stat about = {};
    if (stat(path->c_str(), &about) == 0) {
      stamps[i] = about.st_mtim.tv_sec * 1'000'000'000 + about.st_mtim.tv_nsec;
      stamps[i + 1] = static_cast<int64_t>(about.st_ino);
    }
    i += 2;
  }
  return stamps;
}

absl::StatusOr<std::shared_ptr<const TlsIdentity>> TlsIdentity::Load(const TlsFiles& files) {
  const Stamps stamps = StampsOf(files);
  ASSIGN_OR_RETURN(Identity identity, Check(files));
  return std::shared_ptr<const TlsIdentity>(
      new TlsIdentity(files, std::move(identity.role), std::move(identity.context), stamps));
}

std::shared_ptr<SSL_CTX> TlsIdentity::Context() const {
  const Stamps now = StampsOf(files_);
  absl::MutexLock lock(&mutex_);
  if (now != stamps_) {
    // A process does not become another one: files of another role are no good.
    absl::StatusOr<Identity> anew = Check(files_);
    if (anew.ok() && anew->role == role_) {
      context_ = std::move(anew->context);
      stamps_ = now;
    }
  }
  return context_;
}

absl::Status TlsIdentity::Verify(const std::string& chain) const {
  ASSIGN_OR_RETURN(const CertificateChain peer, ParseChain("the peer's certificate", chain));
  const int error = VerifyBy(Context().get(), peer.first.get(), peer.between.get());
  if (error == X509_V_OK) return absl::OkStatus();
  return absl::UnauthenticatedError(
      absl::StrCat("denied: the peer's certificate: ", X509_verify_cert_error_string(error)));
}

std::string PeerRole(const SSL& connection) {
  const X509* certificate = SSL_get0_peer_certificate(&connection);
  return certificate == nullptr ? "" : RoleOfUris(UrisOf(*certificate));
}

}  // namespace waferstream
