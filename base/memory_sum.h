// Notices bytes that change at rest: a checksum that costs little more than reading them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace waferstream {

// Of 32-bit words x_k, word k in lane k mod 16 of row k div 16: the sum of each lane, and the sum
// of its running sums, both modulo 2^32. Any change within one word shows, and changes of two words
// do unless they cancel in both. Code that passes over the bytes anyway may add to them itself.
struct MemorySums {
  static constexpr size_t kLanes = 16;
  static constexpr size_t kRowBytes = kLanes * sizeof(uint32_t);

  alignas(64) uint32_t once[kLanes] = {};
  alignas(64) uint32_t running[kLanes] = {};

  // Of the bytes that come next: whole rows, or the last, which are filled up with zeros.
  void Add(const void* data, size_t bytes);
  // What is kept of `bytes` bytes: XXH3-64 of the sums. It never leaves the process.
  uint64_t Finish(size_t bytes) const;
};

uint64_t MemorySum(const void* data, size_t bytes);

}  // namespace waferstream
