#include "base/cluster_secret.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/random.h>

#include <cstdint>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/private_file.h"
#include "base/status.h"

namespace waferstream {
namespace {

// The kernel's pool never fails and never gives less for so few bytes; before it is ready, right
// after boot, it waits.
std::string RandomBytes(size_t count) {
  std::string bytes(count, '\0');
  WS_CHECK(getrandom(bytes.data(), count, 0) == static_cast<ssize_t>(count));
  return bytes;
}

std::string Hex(const std::string& bytes) { return absl::BytesToHexString(bytes); }

absl::StatusOr<std::array<std::byte, ClusterSecret::kBytes>> ParseKey(const std::string& where,
                                                                      std::string text) {
  std::array<std::byte, ClusterSecret::kBytes> key;
  if (!text.empty() && text.back() == '\n') text.pop_back();
  bool right = text.size() == 2 * key.size();
  for (const char c : text) right = right && absl::ascii_isxdigit(c);
  if (!right) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": is not a cluster's secret (", 2 * key.size(), " hex digits)"));
  }
  const std::string bytes = absl::HexStringToBytes(text);
  for (size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::byte>(bytes[i]);
  return key;
}

}  // namespace

absl::Status ClusterSecret::MakeFile(const std::string& path) {
  return MakeNewFile(path, Hex(RandomBytes(kBytes)) + "\n", kPrivate);
}

absl::StatusOr<std::shared_ptr<const ClusterSecret>> ClusterSecret::ReadFile(
    const std::string& path) {
  absl::StatusOr<std::string> text = ReadPrivateFile(path, 2 * kBytes + 1);
  if (absl::IsResourceExhausted(text.status())) text = "";  // too long is no secret either
  RETURN_IF_ERROR(text.status());
  return Parse(path, *text);
}

absl::StatusOr<std::shared_ptr<const ClusterSecret>> ClusterSecret::Parse(const std::string& where,
                                                                          const std::string& text) {
  ASSIGN_OR_RETURN(const auto key, ParseKey(where, text));
  return std::make_shared<const ClusterSecret>(key);
}

std::string ClusterSecret::Prove(const std::vector<std::string>& parts) const {
  std::string message;
  for (const std::string& part : parts) absl::StrAppend(&message, part.size(), ":", part);
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  WS_CHECK(HMAC(EVP_sha256(), key_.data(), static_cast<int>(key_.size()),
                reinterpret_cast<const unsigned char*>(message.data()), message.size(), mac,
                &size) != nullptr);
  return Hex(std::string(reinterpret_cast<const char*>(mac), size));
}

bool ClusterSecret::Check(const std::string& proof, const std::vector<std::string>& parts) const {
  const std::string right = Prove(parts);
  return proof.size() == right.size() &&
         CRYPTO_memcmp(proof.data(), right.data(), right.size()) == 0;
}

std::string Nonce() { return Hex(RandomBytes(16)); }

}  // namespace waferstream
