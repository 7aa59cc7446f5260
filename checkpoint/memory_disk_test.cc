#include "checkpoint/memory_disk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "absl/strings/str_cat.h"

namespace waferstream {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string ReadAll(Disk& disk, const std::string& path) {
  return ReadSmallFile(disk, path, 1 << 20).value_or("(missing)");
}

// A durable empty folder /d.
void MakeFolder(MemoryDisk& tree) {
  MemoryDisk::View disk(tree);
  ASSERT_TRUE(disk.CreateFolder("/d").ok());
  ASSERT_TRUE(disk.SyncFolder("/").ok());
}

TEST(MemoryDisk, EveryViewSeesWhatAnyWrote) {
  MemoryDisk tree(0);
  MakeFolder(tree);
  MemoryDisk::View a(tree), b(tree);
  const auto file = a.OpenForWriting("/d/x");
  ASSERT_TRUE((*file)->WriteAt(2, "abc", 3).ok());
  EXPECT_EQ(ReadAll(b, "/d/x"), std::string("\0\0abc", 5));
  EXPECT_THAT(*b.List("/d"), ElementsAre("x"));
  EXPECT_EQ(b.OpenForWriting("/nowhere/x").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(b.OpenForReading("/d/y").status().code(), absl::StatusCode::kNotFound);
}

TEST(MemoryDisk, WhatIsSyncedOutlivesEveryCrash) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    MemoryDisk tree(seed);
    MakeFolder(tree);
    MemoryDisk::View disk(tree);
    ASSERT_TRUE(WriteSmallFile(disk, "/d/x", "kept").ok());
    ASSERT_TRUE(disk.SyncFolder("/d").ok());
    disk.Crash();
    MemoryDisk::View after(tree);
    EXPECT_EQ(ReadAll(after, "/d/x"), "kept");
  }
}

// Over the seeds, an unsynced write is kept, lost and torn, and so on.
TEST(MemoryDisk, WhatIsNotSyncedMayGoAnyWay) {
  std::set<std::string> contents;
  std::set<bool> named;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    MemoryDisk tree(seed);
    MakeFolder(tree);
    MemoryDisk::View disk(tree), other(tree);
    ASSERT_TRUE(WriteSmallFile(other, "/d/x", "old").ok());
    ASSERT_TRUE(other.SyncFolder("/d").ok());
    ASSERT_TRUE((*disk.OpenForWriting("/d/x"))->WriteAt(0, "new", 3).ok());
    ASSERT_TRUE(WriteSmallFile(disk, "/d/y", "synced, but its name is not").ok());
    disk.Crash();
    contents.insert(ReadAll(other, "/d/x"));
    named.insert(other.Exists("/d/y"));
  }
  EXPECT_THAT(contents, ElementsAre("ned", "new", "nld", "old"));
  EXPECT_THAT(named, ElementsAre(false, true));
}

TEST(MemoryDisk, ACrashTakesNothingOfAnotherProcess) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    MemoryDisk tree(seed);
    MakeFolder(tree);
    MemoryDisk::View dying(tree), living(tree);
    auto mine = dying.OpenForWriting("/d/x");
    ASSERT_TRUE(living.SyncFolder("/d").ok());
    auto theirs = living.OpenForWriting("/d/x");
    ASSERT_TRUE((*mine)->WriteAt(0, "aaa", 3).ok());
    ASSERT_TRUE((*theirs)->WriteAt(3, "bbb", 3).ok());
    ASSERT_TRUE(living.CreateFolder("/d/folder").ok());
    dying.Crash();
    EXPECT_EQ(ReadAll(living, "/d/x").substr(3), "bbb");
    EXPECT_TRUE(living.Exists("/d/folder"));
  }
}

TEST(MemoryDisk, ARenameIsAllOrNothing) {
  std::set<bool> renamed;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    MemoryDisk tree(seed);
    MakeFolder(tree);
    MemoryDisk::View disk(tree), after(tree);
    ASSERT_TRUE(disk.CreateFolder("/d/from").ok());
    ASSERT_TRUE(WriteSmallFile(disk, "/d/from/x", "text").ok());
    ASSERT_TRUE(disk.SyncFolder("/d/from").ok());
    ASSERT_TRUE(disk.Rename("/d/from", "/to").ok());
    disk.Crash();
    EXPECT_NE(after.Exists("/d/from"), after.Exists("/to"));
    renamed.insert(after.Exists("/to"));
    EXPECT_EQ(ReadAll(after, after.Exists("/to") ? "/to/x" : "/d/from/x"), "text");
  }
  EXPECT_THAT(renamed, ElementsAre(false, true));
}

TEST(MemoryDisk, AnOpenFileOutlivesItsNameButNobodySeesIt) {
  MemoryDisk tree(0);
  MakeFolder(tree);
  MemoryDisk::View disk(tree);
  auto file = disk.OpenForWriting("/d/x");
  ASSERT_TRUE(disk.Remove("/d").ok());
  EXPECT_TRUE((*file)->WriteAt(0, "abc", 3).ok());
  EXPECT_FALSE(disk.Exists("/d"));
  EXPECT_THAT(*disk.List("/"), IsEmpty());
}

TEST(MemoryDisk, ACrashedViewDoesNothingAnyMore) {
  MemoryDisk tree(0);
  MakeFolder(tree);
  MemoryDisk::View disk(tree), other(tree);
  auto file = disk.OpenForWriting("/d/x");
  ASSERT_TRUE(disk.SyncFolder("/d").ok());
  disk.Crash();
  EXPECT_EQ((*file)->WriteAt(0, "abc", 3).code(), absl::StatusCode::kAborted);
  EXPECT_EQ((*file)->Sync().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(disk.Remove("/d").code(), absl::StatusCode::kAborted);
  EXPECT_EQ(disk.CreateFolder("/e").code(), absl::StatusCode::kAborted);
  EXPECT_EQ(ReadAll(other, "/d/x"), "");
}

TEST(MemoryDisk, AFaultTakesEffectBeforeTheOperationButForATornWrite) {
  MemoryDisk tree(0);
  MakeFolder(tree);
  const absl::Status full = absl::ResourceExhaustedError("No space left on device");
  MemoryDisk::View disk(tree, [&](DiskOp op, const std::string&) {
    return op == DiskOp::kOpen ? DiskFault{} : DiskFault{full, 2};
  });
  MemoryDisk::View other(tree);
  auto file = disk.OpenForWriting("/d/x");
  EXPECT_EQ((*file)->WriteAt(0, "abc", 3), full);
  EXPECT_EQ(disk.Rename("/d/x", "/d/y"), full);
  EXPECT_EQ(disk.Remove("/d"), full);
  EXPECT_EQ(ReadAll(other, "/d/x"), "ab");
}

TEST(MemoryDisk, TheSameSeedLosesTheSame) {
  const auto run = [](uint64_t seed) {
    MemoryDisk tree(seed);
    MakeFolder(tree);
    MemoryDisk::View disk(tree), after(tree);
    std::string names;
    for (int i = 0; i < 20; ++i) {
      const std::string path = absl::StrCat("/d/", i);
      EXPECT_TRUE((*disk.OpenForWriting(path))->WriteAt(0, "0123456789", 10).ok());
    }
    disk.Crash();
    const std::vector<std::string> files = *after.List("/d");
    for (const std::string& name : files) {
      absl::StrAppend(&names, name, "=", ReadAll(after, "/d/" + name), " ");
    }
    return names;
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
}

}  // namespace
}  // namespace waferstream
