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
using CrlPtr = std::unique_ptr<X509_CRL, decltype(&X509_CRL_free)>;
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

struct Issuer {
  CertificatePtr certificate;
  KeyPtr key;
};

absl::StatusOr<Issuer> ParseIssuer(const CertificatePem& authority) {
  ASSIGN_OR_RETURN(CertificatePtr certificate,
                   ParseCertificate("the authority", authority.certificate));
  ASSIGN_OR_RETURN(KeyPtr key, ParseKey(authority.key));
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    return absl::InvalidArgumentError("the authority's key is not that of its certificate");
  }
  return Issuer{std::move(certificate), std::move(key)};
}

// Empty text: a new one.
absl::StatusOr<CrlPtr> ParseList(const Issuer& issuer, const std::string& list) {
  if (list.empty()) return CrlPtr(X509_CRL_new(), X509_CRL_free);
  CrlPtr crl(PEM_read_bio_X509_CRL(Reading(list).get(), nullptr, nullptr, nullptr), X509_CRL_free);
  if (crl == nullptr) {
    return absl::InvalidArgumentError("the list is no list of revoked certificates in PEM");
  }
  if (X509_CRL_verify(crl.get(), issuer.key.get()) == 1) return crl;
  return absl::InvalidArgumentError("the list is not of this authority");
}

// Again: nothing.
bool AddRevoked(X509_CRL* crl, const X509& certificate) {
  X509_REVOKED* there = nullptr;
  auto* const serial = const_cast<ASN1_INTEGER*>(X509_get0_serialNumber(&certificate));
  if (X509_CRL_get0_by_serial(crl, &there, serial) != 0) return true;
  ASN1_TIME* const now = ASN1_TIME_set(nullptr, absl::ToTimeT(absl::Now()));
  X509_REVOKED* const entry = X509_REVOKED_new();
  bool ok = now != nullptr && X509_REVOKED_set_serialNumber(entry, serial) == 1 &&
            X509_REVOKED_set_revocationDate(entry, now) == 1;
  ok = ok && X509_CRL_add0_revoked(crl, entry) == 1;
  if (!ok) X509_REVOKED_free(entry);
  ASN1_TIME_free(now);
  return ok;
}

// Its number only ever grows: it is the time.
bool NumberList(X509_CRL* crl, absl::Time now) {
  ASN1_INTEGER* const number = ASN1_INTEGER_new();
  const bool ok = ASN1_INTEGER_set_int64(number, absl::ToUnixMicros(now)) == 1 &&
                  X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, X509V3_ADD_REPLACE) == 1;
  ASN1_INTEGER_free(number);
  return ok;
}

bool SignList(X509_CRL* crl, const Issuer& issuer, absl::Duration valid) {
  const absl::Time now = absl::Now();
  ASN1_TIME* const begin = ASN1_TIME_set(nullptr, absl::ToTimeT(now - absl::Hours(1)));
  ASN1_TIME* const end = ASN1_TIME_set(nullptr, absl::ToTimeT(now + valid));
  const bool ok =
      begin != nullptr && end != nullptr && X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1 &&
      X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer.certificate.get())) == 1 &&
      X509_CRL_set1_lastUpdate(crl, begin) == 1 && X509_CRL_set1_nextUpdate(crl, end) == 1 &&
      NumberList(crl, now) && X509_CRL_sort(crl) == 1 &&
      X509_CRL_sign(crl, issuer.key.get(), EVP_sha256()) > 0;
  ASN1_TIME_free(begin);
  ASN1_TIME_free(end);
  return ok;
}

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

absl::StatusOr<CertificateChain> ParseChain(const std::string& where, const std::string& pem) {
  const BioPtr text = Reading(pem);
  CertificateChain chain = {
      CertificatePtr(PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr), X509_free),
      {sk_X509_new_null(), [](STACK_OF(X509) * all) { sk_X509_pop_free(all, X509_free); }}};
  if (chain.first == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(where, ": is not a certificate in PEM"));
  }
  while (X509* next = PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr)) {
    sk_X509_push(chain.between.get(), next);
  }
  ERR_clear_error();  // the end of the text is none
  return chain;
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
  ASSIGN_OR_RETURN(const Issuer issuer, ParseIssuer(authority));
  const KeyPtr key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  if (key == nullptr) return Failed("making a key");
  X509* const by = issuer.certificate.get();
  Draft draft(key.get(), terms.name, terms.valid);
  draft.Extend(by, NID_basic_constraints, "critical,CA:FALSE");
  draft.Extend(by, NID_key_usage, "critical,digitalSignature");
  draft.Extend(by, NID_ext_key_usage, "serverAuth,clientAuth");
  draft.Extend(by, NID_subject_alt_name, names);
  draft.Extend(by, NID_authority_key_identifier, "keyid:always");
  draft.Sign(by, issuer.key.get());
  return draft.ok() ? ToPem(draft.get(), key.get()) : Failed("making a certificate");
}

absl::StatusOr<std::string> Revoke(const CertificatePem& authority, const std::string& list,
                                   const std::string& certificate, absl::Duration valid) {
  ASSIGN_OR_RETURN(const Issuer issuer, ParseIssuer(authority));
  ASSIGN_OR_RETURN(const CrlPtr crl, ParseList(issuer, list));
  if (!certificate.empty()) {
    ASSIGN_OR_RETURN(const CertificatePtr revoked, ParseCertificate("revoked", certificate));
    if (X509_verify(revoked.get(), issuer.key.get()) != 1) {
      return absl::InvalidArgumentError("the certificate is not of this authority");
    }
    if (!AddRevoked(crl.get(), *revoked)) return Failed("revoking");
  }
  if (!SignList(crl.get(), issuer, valid)) return Failed("signing the list");
  const BioPtr text(BIO_new(BIO_s_mem()), BIO_free);
  if (PEM_write_bio_X509_CRL(text.get(), crl.get()) != 1) return Failed("writing PEM");
  return Written(text.get());
}

}  // namespace waferstream
