// X.509 certificates of a cluster: who somebody is, made by a private authority in development.
#pragma once

#include <openssl/x509.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace waferstream {

// What a certificate says that its holder is, as a URI among its names: "waferstream:wafer". One of
// kCertificateRoles; anything else is no role.
inline constexpr const char* kCertificateRoles[] = {"controller", "memoryx", "swarmx", "wafer",
                                                    "user"};
std::string UriOfRole(const std::string& role);
// Of the names of a certificate that somebody verified; empty: it has no role, or several.
std::string RoleOfUris(const std::vector<std::string>& uris);

// Owns nothing that OpenSSL would have to be told about.
using CertificatePtr = std::unique_ptr<X509, decltype(&X509_free)>;

// The first certificate of a PEM text. INVALID_ARGUMENT, naming `where`.
absl::StatusOr<CertificatePtr> ParseCertificate(const std::string& where, const std::string& pem);

// A certificate and those that come with it.
struct CertificateChain {
  using Stack = std::unique_ptr<STACK_OF(X509), void (*)(STACK_OF(X509)*)>;
  CertificatePtr first;
  Stack between;
};
absl::StatusOr<CertificateChain> ParseChain(const std::string& where, const std::string& pem);

std::vector<std::string> UrisOf(const X509& certificate);
absl::Time NotBefore(const X509& certificate);
absl::Time NotAfter(const X509& certificate);

struct CertificatePem {
  std::string certificate;  // PEM
  std::string key;          // PEM, PKCS #8, not encrypted
};

// A new authority: EC P-256, signs certificates and nothing else.
absl::StatusOr<CertificatePem> MakeAuthority(const std::string& name, absl::Duration valid);

struct CertificateTerms {
  std::string name;                // common name, for people
  std::string role;                // one of kCertificateRoles
  std::vector<std::string> hosts;  // names and literal addresses at which the holder is reached
  absl::Duration valid;            // from an hour ago on, for clocks that differ
};

// A certificate, for both ends of a connection, and its new key. INVALID_ARGUMENT: a term; or the
// authority's certificate and key are not a pair.
absl::StatusOr<CertificatePem> Issue(const CertificatePem& authority,
                                     const CertificateTerms& terms);

// The authority's list (a CRL in PEM) of certificates that are not to be believed any more: those
// of `list`, an earlier one or empty, and `certificate`, if it is not empty. It holds for `valid`
// from now on. INVALID_ARGUMENT: one of them is not the authority's, or the authority is no pair.
absl::StatusOr<std::string> Revoke(const CertificatePem& authority, const std::string& list,
                                   const std::string& certificate, absl::Duration valid);

}  // namespace waferstream
