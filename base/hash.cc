#include "base/hash.h"

#include <isa-l/crc.h>
#ifdef __x86_64__
#include <xxh_x86dispatch.h>  // xxhash.h, but with the widest vectors that the CPU has
#endif

#include <algorithm>
#include <cstdio>

#include "base/status.h"

namespace waferstream {

Hash128::Hash128() : state_(XXH3_createState()) {
  WS_CHECK(state_ != nullptr);
  XXH3_128bits_reset(state_);
}

Hash128::~Hash128() { XXH3_freeState(state_); }

void Hash128::Update(const void* data, size_t bytes) { XXH3_128bits_update(state_, data, bytes); }

std::string Hash128::Hex() const {
  const XXH128_hash_t h = XXH3_128bits_digest(state_);
  char text[33];
  std::snprintf(text, sizeof(text), "%016llx%016llx", static_cast<unsigned long long>(h.high64),
                static_cast<unsigned long long>(h.low64));
  return text;
}

uint64_t Hash64(const void* data, size_t bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(data, bytes, seed);
}

uint32_t Crc32c(uint32_t crc, const void* data, size_t bytes) {
  // ISA-L takes an int length and leaves both inversions to the caller.
  auto* at = static_cast<unsigned char*>(const_cast<void*>(data));
  uint32_t state = ~crc;
  while (bytes > 0) {
    const int part = static_cast<int>(std::min<size_t>(bytes, size_t{1} << 30));
    state = crc32_iscsi(at, part, state);
    at += part;
    bytes -= part;
  }
  return ~state;
}

}  // namespace waferstream
