#include "base/shared_segment.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/arena.h"

namespace waferstream {
namespace {

size_t PageBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

Fd Duplicate(int fd) { return Fd(fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

TEST(SharedSegment, IsReadInPlaceByWhoeverHasTheDescriptor) {
  Arena arena = *Arena::CreateLent(3 * PageBytes() + 5);
  const std::span<std::byte> bytes = arena.Claim(0, arena.size());
  const auto segment = SharedSegment::Holding(bytes.data(), bytes.size());
  ASSERT_NE(segment, nullptr);
  const auto attached = SharedSegment::Attach(Duplicate(segment->fd()));
  ASSERT_TRUE(attached.ok()) << attached.status();
  EXPECT_NE((*attached)->data(), segment->data());
  EXPECT_EQ((*attached)->size(), 4 * PageBytes());
  bytes.back() = std::byte{7};
  EXPECT_EQ((*attached)->data()[bytes.size() - 1], std::byte{7});
  EXPECT_EQ(SharedSegment::Holding((*attached)->data() + 5, 10), *attached);
}

TEST(SharedSegment, OnlyThePagesOfWhatIsLentAreShared) {
  Arena arena = *Arena::Create(8 * PageBytes(), {.offset = 2 * PageBytes() + 1, .bytes = 10});
  const std::span<std::byte> all = arena.Claim(0, arena.size());
  std::fill(all.begin(), all.end(), std::byte{1});
  EXPECT_EQ(SharedSegment::Holding(all.data(), 1), nullptr);
  EXPECT_EQ(SharedSegment::Holding(all.data() + 3 * PageBytes(), 1), nullptr);
  EXPECT_EQ(SharedSegment::Holding(all.data() + 2 * PageBytes(), PageBytes() + 1), nullptr);
  const auto segment = SharedSegment::Holding(all.data() + 2 * PageBytes(), PageBytes());
  ASSERT_NE(segment, nullptr);
  EXPECT_EQ(segment->size(), PageBytes());
}

TEST(SharedSegment, NobodyElseWritesOrResizes) {
  Arena arena = *Arena::CreateLent(PageBytes());
  const int fd = SharedSegment::Holding(arena.Claim(0, 1).data(), 1)->fd();
  EXPECT_EQ(mmap(nullptr, PageBytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
  EXPECT_EQ(write(fd, "x", 1), -1);
  EXPECT_EQ(ftruncate(fd, 0), -1);
  EXPECT_EQ(ftruncate(fd, 1 << 20), -1);
  arena.Claim(0, 1)[0] = std::byte{1};  // its owner does
}

TEST(SharedSegment, OutlivesItsArenaWhileItIsHeldAndIsGoneThen) {
  std::shared_ptr<SharedSegment> held;
  const std::byte* at = nullptr;
  {
    Arena arena = *Arena::CreateLent(PageBytes());
    Arena moved = std::move(arena);
    at = moved.Claim(0, 1).data();
    moved.Claim(0, 1)[0] = std::byte{9};
    held = SharedSegment::Holding(at, 1);
  }
  ASSERT_NE(held, nullptr);
  EXPECT_EQ(*at, std::byte{9});
  EXPECT_EQ(SharedSegment::Holding(at, 1), held);
  held.reset();
  EXPECT_EQ(SharedSegment::Holding(at, 1), nullptr);
}

TEST(SharedSegment, WhatCouldShrinkUnderItsReaderIsRefused) {
  Fd unsealed(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(ftruncate(unsealed.get(), static_cast<off_t>(PageBytes())), 0);
  EXPECT_FALSE(SharedSegment::Attach(Duplicate(unsealed.get())).ok());
  ASSERT_EQ(fcntl(unsealed.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
  EXPECT_TRUE(SharedSegment::Attach(Duplicate(unsealed.get())).ok());
  EXPECT_FALSE(SharedSegment::Attach(Fd(open("/dev/null", O_RDWR | O_CLOEXEC))).ok());
  Fd empty(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(fcntl(empty.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
  EXPECT_FALSE(SharedSegment::Attach(std::move(empty)).ok());
}

}  // namespace
}  // namespace waferstream
