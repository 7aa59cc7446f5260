// Who a process is to its peers, by certificate.
#pragma once

#include <openssl/ssl.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace waferstream {

// Paths of PEM files.
struct TlsFiles {
  std::string certificate;  // with those between it and the authority, if any
  std::string key;
  std::string authority;     // whose certificates are believed
  std::string revoked = {};  // the authority's list of those that are not any more; empty: none
};

// Role: the files, checked, and what OpenSSL makes of them: TLS 1.3 and nothing below, and both
// ends show a certificate of the authority. The files may be replaced at any time; connections that
// begin later use what is in them then, or, if that is no good, what was before. Thread-safe.
class TlsIdentity {
 public:
  // One line, that names the file: it is not there or not such a file, the key can be read by
  // others or is not the certificate's, the certificate is not the authority's, has no role (see
  // base/certificate.h), is not valid yet or any more, or is revoked; or the list of those that are
  // is another authority's, or is too old.
  static absl::StatusOr<std::shared_ptr<const TlsIdentity>> Load(const TlsFiles& files);

  const TlsFiles& files() const { return files_; }
  // Of this process.
  const std::string& role() const { return role_; }
  // For a connection that begins now.
  std::shared_ptr<SSL_CTX> Context() const;
  // Whether a peer's certificate, with those between it and the authority, in PEM, is believed now,
  // for whoever makes connections without Context. UNAUTHENTICATED, with OpenSSL's reason.
  absl::Status Verify(const std::string& chain) const;

 private:
  // When the files changed last.
  using Stamps = std::array<int64_t, 8>;

  TlsIdentity(TlsFiles files, std::string role, std::shared_ptr<SSL_CTX> context, Stamps stamps)
      : files_(std::move(files)),
        role_(std::move(role)),
        context_(std::move(context)),
        stamps_(stamps) {}
  static Stamps StampsOf(const TlsFiles& files);

  const TlsFiles files_;
  const std::string role_;
  mutable absl::Mutex mutex_;
  mutable std::shared_ptr<SSL_CTX> context_ ABSL_GUARDED_BY(mutex_);
  mutable Stamps stamps_ ABSL_GUARDED_BY(mutex_);
};

// Of the peer on a connection whose handshake is over; empty: it has none.
std::string PeerRole(const SSL& connection);

}  // namespace waferstream
