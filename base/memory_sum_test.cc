#include "base/memory_sum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace waferstream {
namespace {

std::vector<std::byte> SomeBytes(size_t n) {
  std::vector<std::byte> bytes(n);
  for (size_t i = 0; i < n; ++i) bytes[i] = static_cast<std::byte>(i * 2654435761u >> 13);
  return bytes;
}

// The definition, word by word.
uint64_t Plain(std::vector<std::byte> bytes) {
  const size_t length = bytes.size();
  bytes.resize((length + 63) / 64 * 64);
  MemorySums sums;
  for (size_t k = 0; k < bytes.size() / 4; ++k) {
    uint32_t word;
    std::memcpy(&word, bytes.data() + 4 * k, 4);
    sums.once[k % 16] += word;
    sums.running[k % 16] += sums.once[k % 16];
  }
  return sums.Finish(length);
}

TEST(MemorySum, IsWhatTheHeaderSays) {
  for (const size_t n : {0, 1, 3, 4, 63, 64, 65, 128, 1000, 4096, 65537}) {
    const std::vector<std::byte> bytes = SomeBytes(n);
    EXPECT_EQ(MemorySum(bytes.data(), n), Plain(bytes)) << n;
  }
}

TEST(MemorySum, MayBeTakenInPieces) {
  const std::vector<std::byte> bytes = SomeBytes(1000);
  MemorySums sums;
  sums.Add(bytes.data(), 64);
  sums.Add(bytes.data() + 64, 640);
  sums.Add(bytes.data() + 704, 296);
  EXPECT_EQ(sums.Finish(1000), MemorySum(bytes.data(), 1000));
}

TEST(MemorySum, EveryBitCounts) {
  std::vector<std::byte> bytes = SomeBytes(333);
  const uint64_t sum = MemorySum(bytes.data(), bytes.size());
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    const auto flip = static_cast<std::byte>(1 << bit % 8);
    bytes[bit / 8] ^= flip;
    EXPECT_NE(MemorySum(bytes.data(), bytes.size()), sum) << bit;
    bytes[bit / 8] ^= flip;
  }
}

TEST(MemorySum, OrderAndLengthCount) {
  std::vector<std::byte> bytes = SomeBytes(256);
  const uint64_t sum = MemorySum(bytes.data(), bytes.size());
  std::swap_ranges(bytes.begin(), bytes.begin() + 64, bytes.begin() + 128);
  EXPECT_NE(MemorySum(bytes.data(), bytes.size()), sum);
  const std::vector<std::byte> zeros(128);
  EXPECT_NE(MemorySum(zeros.data(), 64), MemorySum(zeros.data(), 128));
}

}  // namespace
}  // namespace waferstream
