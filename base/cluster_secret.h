// The secret by which the processes of one cluster know one another on a host that has other users.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace waferstream {

// Role: makes and checks proofs that somebody knows the secret; the secret itself is never printed,
// put on a command line or into the environment, nor sent, but between the ranks of an MPI launch.
// Immutable, so any thread may use it.
class ClusterSecret {
 public:
  static constexpr size_t kBytes = 32;

  // Makes the file `path`, 256 random bits that only the caller's user can read. ALREADY_EXISTS:
  // there is something of that name.
  static absl::Status MakeFile(const std::string& path);

  // Reads it. PERMISSION_DENIED: it belongs to another user, or somebody else can read or change
  // it; INVALID_ARGUMENT: it holds no secret; NOT_FOUND. All name the file.
  static absl::StatusOr<std::shared_ptr<const ClusterSecret>> ReadFile(const std::string& path);

  // Of what such a file holds, where a launcher brings that. INVALID_ARGUMENT, naming `where`.
  static absl::StatusOr<std::shared_ptr<const ClusterSecret>> Parse(const std::string& where,
                                                                    const std::string& text);

  explicit ClusterSecret(const std::array<std::byte, kBytes>& key) : key_(key) {}

  // 64 hex digits that only who knows the secret can make for these parts, in this order. A part is
  // any bytes; ("a", "bc") and ("ab", "c") are different.
  std::string Prove(const std::vector<std::string>& parts) const;
  // Whether `proof` is that; takes the same time whatever is wrong with it.
  bool Check(const std::string& proof, const std::vector<std::string>& parts) const;

 private:
  const std::array<std::byte, kBytes> key_;
};

// 128 random bits in hex, for what must never be the same twice.
std::string Nonce();

}  // namespace waferstream
