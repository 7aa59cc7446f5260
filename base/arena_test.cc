#include "base/arena.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace waferstream {
namespace {

Arena MustCreate(size_t bytes) {
  auto arena = Arena::Create(bytes);
  EXPECT_TRUE(arena.ok()) << arena.status();
  return *std::move(arena);
}

size_t PageBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

TEST(Arena, IsZeroedAndWritableToItsLastByte) {
  const size_t bytes = 3 * PageBytes() + 17;
  Arena arena = MustCreate(bytes);
  EXPECT_EQ(arena.size(), bytes);
  const std::span<std::byte> all = arena.Claim(0, bytes);
  EXPECT_TRUE(std::all_of(all.begin(), all.end(), [](std::byte b) { return b == std::byte{0}; }));
  std::fill(all.begin(), all.end(), std::byte{0xff});
}

TEST(Arena, ClaimsAreAtTheirOffsets) {
  Arena arena = MustCreate(1000);
  const std::span<std::byte> all = arena.Claim(0, 1000);
  const std::span<std::byte> part = arena.Claim(100, 50);
  EXPECT_EQ(part.data(), all.data() + 100);
  EXPECT_EQ(part.size(), 50u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(all.data()) % PageBytes(), 0u);
}

TEST(Arena, ThePeakIsTheHighestEndOfAnyClaim) {
  Arena arena = MustCreate(1000);
  EXPECT_EQ(arena.peak(), 0u);
  arena.Claim(100, 50);
  EXPECT_EQ(arena.peak(), 150u);
  arena.Claim(0, 120);
  EXPECT_EQ(arena.peak(), 150u);
  arena.Claim(1000, 0);
  EXPECT_EQ(arena.peak(), 1000u);
}

TEST(Arena, MayBeEmpty) {
  Arena arena = MustCreate(0);
  EXPECT_TRUE(arena.Claim(0, 0).empty());
}

TEST(ArenaDeathTest, AClaimBeyondTheEndAborts) {
  Arena arena = MustCreate(1000);
  EXPECT_DEATH(arena.Claim(0, 1001), "arena.cc");
  EXPECT_DEATH(arena.Claim(1000, 1), "arena.cc");
  EXPECT_DEATH(arena.Claim(1001, 0), "arena.cc");
  EXPECT_DEATH(arena.Claim(999, SIZE_MAX), "arena.cc");  // whose sum wraps around
}

// Pages are what the machine can guard: the byte behind a whole page is out of bounds.
TEST(ArenaDeathTest, AWriteBehindTheEndFaults) {
  Arena arena = MustCreate(2 * PageBytes());
  volatile std::byte* end = arena.Claim(0, arena.size()).data() + arena.size();
  EXPECT_DEATH(*end = std::byte{1}, "");
}

TEST(Arena, MovesWithItsMemoryAndItsPeak) {
  Arena first = MustCreate(1000);
  const std::byte* memory = first.Claim(0, 10).data();
  Arena second = std::move(first);
  EXPECT_EQ(second.size(), 1000u);
  EXPECT_EQ(second.peak(), 10u);
  Arena third = MustCreate(5);
  third = std::move(second);
  EXPECT_EQ(third.size(), 1000u);
  EXPECT_EQ(third.peak(), 10u);
  EXPECT_EQ(third.Claim(0, 1000).data(), memory);
}

TEST(Arena, WhatTheSystemDoesNotHaveIsRefused) {
  for (const size_t bytes : {size_t{1} << 60, SIZE_MAX, SIZE_MAX - PageBytes()}) {
    const auto refused = Arena::Create(bytes);
    ASSERT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted) << bytes;
    EXPECT_NE(refused.status().message().find(std::to_string(bytes)), std::string::npos);
  }
}

// In a process of its own: a limit cannot be raised again.
TEST(ArenaDeathTest, ARefusalNamesTheLimitOfTheProcess) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's own memory is beyond any such limit";
#endif
  const auto create_within_limit = [] {
    const rlimit limit = {size_t{1} << 40, size_t{1} << 40};
    setrlimit(RLIMIT_AS, &limit);
    std::fprintf(stderr, "%s\n", Arena::Create(size_t{1} << 41).status().ToString().c_str());
    std::exit(0);
  };
  EXPECT_EXIT(create_within_limit(), testing::ExitedWithCode(0), "1099511627776: ulimit -v");
}

}  // namespace
}  // namespace waferstream
