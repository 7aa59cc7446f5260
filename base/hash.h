// The two checks of the system: XXH3-128 names the state of a job, CRC32C guards a frame or a file.
#pragma once

#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace waferstream {

// Streaming XXH3-128. Not thread-safe.
class Hash128 {
 public:
  Hash128();
  ~Hash128();
  Hash128(const Hash128&) = delete;
  Hash128& operator=(const Hash128&) = delete;

  void Update(const void* data, size_t bytes);
  // 32 lower-case hex digits, high half first (xxhsum's canonical form).
  std::string Hex() const;

 private:
  XXH3_state_t* state_;
};

// XXH3-64 of one buffer.
uint64_t Hash64(const void* data, size_t bytes, uint64_t seed = 0);

// CRC32C (Castagnoli). `crc` continues an earlier call; start with 0.
uint32_t Crc32c(uint32_t crc, const void* data, size_t bytes);

}  // namespace waferstream
