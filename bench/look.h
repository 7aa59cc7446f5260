// What a reader of a payload does at least: looks at every byte.
#pragma once

#include <cstddef>
#include <cstdint>

namespace waferstream {

// A sum of all words; `bytes` is a multiple of 64.
inline uint64_t Look(const void* payload, size_t bytes) {
  const auto* words = static_cast<const uint64_t*>(payload);
  uint64_t sums[8] = {};
  for (size_t i = 0; i < bytes / sizeof(uint64_t); i += 8) {
    for (size_t k = 0; k < 8; ++k) sums[k] += words[i + k];
  }
  uint64_t sum = 0;
  for (const uint64_t part : sums) sum += part;
  return sum;
}

}  // namespace waferstream
