#include "base/certificate.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "base/status.h"

namespace waferstream {
namespace {

constexpr absl::string_view kUriScheme = "waferstream:";

using KeyPtr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free)>;

// OpenSSL fails here for want of memory or of random numbers alone.
absl::Status Failed(const char* what) {
  return absl::InternalError(
      absl::StrCat(what, ": ", ERR_reason_error_string(ERR_peek_last_error())));
}

BioPtr Reading(const std::string& text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free);
}

std::string Written(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, size);
}

absl::StatusOr<KeyPtr> ParseKey(const std::string& pem) {
  KeyPtr key(PEM_read_bio_PrivateKey(Reading(pem).get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
  if (key == nullptr) return absl::InvalidArgumentError("the key is not a private key in PEM");
  return key;
}

absl::StatusOr<CertificatePem> ToPem(X509* certificate, EVP_PKEY* key) {
  const BioPtr first(BIO_new(BIO_s_mem()), BIO_free), second(BIO_new(BIO_s_mem()), BIO_free);
  if (PEM_write_bio_X509(first.get(), certificate) != 1 ||
      PEM_write_bio_PKCS8PrivateKey(second.get(), key, nullptr, nullptr, 0, nullptr, nullptr) !=
          1) {
    return Failed("writing PEM");
  }
  return CertificatePem{.certificate = Written(first.get()), .key = Written(second.get())};
}

absl::Time TimeOf(const ASN1_TIME* time) {
  std::tm parts = {};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return absl::InfinitePast();
  return absl::FromTM(parts, absl::UTCTimeZone());
}

bool IsAddress(const std::string& host) {
  in6_addr ignored;
  return inet_pton(AF_INET, host.c_str(), &ignored) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &ignored) == 1;
}

// A comma would begin another name.
absl::StatusOr<std::string> NamesOf(const CertificateTerms& terms) {
  if (std::find(std::begin(kCertificateRoles), std::end(kCertificateRoles), terms.role) ==
      std::end(kCertificateRoles)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "role: ", terms.role, ": not one of controller, ", "memoryx, swarmx, wafer or user"));
  }
  std::string names = absl::StrCat("URI:", UriOfRole(terms.role));
  for (const std::string& host : terms.hosts) {
    const bool odd = host.empty() || host.find_first_of(", :\n") != std::string::npos;
    if (odd && !IsAddress(host)) {
      return absl::InvalidArgumentError(absl::StrCat("host: ", host, ": not a name or address"));
    }
    absl::StrAppend(&names, IsAddress(host) ? ",IP:" : ",DNS:", host);
  }
  return names;
}

// What a new certificate is made of, step by step; false once OpenSSL refuses.
class Draft {
 public:
  Draft(EVP_PKEY* key, const std::string& name, absl::Duration valid)
      : certificate_(X509_new(), X509_free) {
    unsigned char serial[16];
    ok_ = RAND_bytes(serial, sizeof serial) == 1;
    serial[0] &= 0x7f;  // positive
    BIGNUM* number = BN_bin2bn(serial, sizeof serial, nullptr);
    ok_ = ok_ && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(get())) != nullptr;
    BN_free(number);
    const absl::Time now = absl::Now();
    ok_ = ok_ && X509_set_version(get(), X509_VERSION_3) == 1 &&
          ASN1_TIME_set(X509_getm_notBefore(get()), absl::ToTimeT(now - absl::Hours(1))) &&
          ASN1_TIME_set(X509_getm_notAfter(get()), absl::ToTimeT(now + valid)) &&
          X509_set_pubkey(get(), key) == 1 &&
          X509_NAME_add_entry_by_txt(X509_get_subject_name(get()), "CN", MBSTRING_UTF8,
                                     reinterpret_cast<const unsigned char*>(name.data()),
                                     static_cast<int>(name.size()), -1, 0) == 1;
  }

  void Extend(X509* issuer, int kind, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, get(), nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
    ok_ = ok_ && extension != nullptr && X509_add_ext(get(), extension, -1) == 1;
    X509_EXTENSION_free(extension);
  }
  void Sign(X509* issuer, EVP_PKEY* key) {
    ok_ = ok_ && X509_set_issuer_name(get(), X509_get_subject_name(issuer)) == 1 &&
          X509_sign(get(), key, EVP_sha256()) > 0;
  }

  X509* get() { return certificate_.get(); }
  bool ok() const { return ok_; }

 private:
  CertificatePtr certificate_;
  bool ok_ = true;
};

}  // namespace

std::string UriOfRole(const std::string& role) { return absl::StrCat(kUriScheme, role); }

std::string RoleOfUris(const std::vector<std::string>& uris) {
  std::string role;
  for (const std::string& uri : uris) {
    if (!absl::StartsWith(uri, kUriScheme)) continue;
    if (!role.empty()) return "";
    role = uri.substr(kUriScheme.size());
  }
  return role;
}

absl::StatusOr<CertificatePtr> ParseCertificate(const std::string& where, const std::string& pem) {
  CertificatePtr certificate(PEM_read_bio_X509(Reading(pem).get(), nullptr, nullptr, nullptr),
                             X509_free);
  if (certificate != nullptr) return certificate;
  return absl::InvalidArgumentError(absl::StrCat(where, ": is not a certificate in PEM"));
}

std::vector<std::string> UrisOf(const X509& certificate) {
  std::vector<std::string> uris;
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* uri = name->d.uniformResourceIdentifier;
    uris.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                      ASN1_STRING_length(uri));
  }
  GENERAL_NAMES_free(names);
  return uris;
}

absl::Time NotBefore(const X509& certificate) { return TimeOf(X509_get0_notBefore(&certificate)); }
absl::Time NotAfter(const X509& certificate) { return TimeOf(X509_get0_notAfter(&certificate)); }

absl::StatusOr<CertificatePem> MakeAuthority(const std::string& name, absl::Duration valid) {
  const KeyPtr key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  if (key == nullptr) return Failed("making a key");
  // Not the name that a certificate may have as well: what is issued by its own name is
  // self-signed.
  Draft draft(key.get(), absl::StrCat(name, " authority"), valid);
  draft.Extend(draft.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  draft.Extend(draft.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  draft.Extend(draft.get(), NID_subject_key_identifier, "hash");
  draft.Sign(draft.get(), key.get());
  return draft.ok() ? ToPem(draft.get(), key.get()) : Failed("making an authority");
}

absl::StatusOr<CertificatePem> Issue(const CertificatePem& authority,
                                     const CertificateTerms& terms) {
  ASSIGN_OR_RETURN(const std::string names, NamesOf(terms));
  ASSIGN_OR_RETURN(const CertificatePtr issuer,
                   ParseCertificate("the authority", authority.certificate));
  ASSIGN_OR_RETURN(const KeyPtr issuer_key, ParseKey(authority.key));
  if (X509_check_private_key(issuer.get(), issuer_key.get()) != 1) {
    return absl::InvalidArgumentError("the authority's key is not that of its certificate");
  }
  const KeyPtr key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  if (key == nullptr) return Failed("making a key");
  Draft draft(key.get(), terms.name, terms.valid);
  draft.Extend(issuer.get(), NID_basic_constraints, "critical,CA:FALSE");
  draft.Extend(issuer.get(), NID_key_usage, "critical,digitalSignature");
  draft.Extend(issuer.get(), NID_ext_key_usage, "serverAuth,clientAuth");
  draft.Extend(issuer.get(), NID_subject_alt_name, names);
  draft.Extend(issuer.get(), NID_authority_key_identifier, "keyid:always");
  draft.Sign(issuer.get(), issuer_key.get());
  return draft.ok() ? ToPem(draft.get(), key.get()) : Failed("making a certificate");
}

}  // namespace waferstream
