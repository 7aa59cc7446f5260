// The fence between epochs: what a process of an older epoch can and cannot do when it wakes up
// after a newer one has begun (folder.h). On the real disk and on the simulated one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "checkpoint/memory_disk.h"
#include "checkpoint/test_checkpoint.h"

namespace waferstream {
namespace {

using testing::ElementsAre;

const WriterEpoch kZombie = {"job", 2};
const WriterEpoch kNewer = {"job", 10};

enum class Kind { kPosix, kMemory };

class EpochFolderTest : public testing::TestWithParam<Kind> {
 protected:
  EpochFolderTest() { EXPECT_TRUE(BeginTestEpoch(old_, dir_, kZombie).ok()); }

  void BeginNewer() { ASSERT_TRUE(BeginTestEpoch(new_, dir_, kNewer).ok()); }

  // Without the owner's.
  std::vector<std::string> Names() {
    std::vector<std::string> names = *new_.List(dir_);
    std::erase(names, ".owner");
    return names;
  }

  const bool posix_ = GetParam() == Kind::kPosix;
  const std::string dir_ = posix_ ? FreshFolder() : "/checkpoints";
  const JobSpec job_ = OddJob(dir_);  // keeps 2
  const CheckpointFormat format_ = FormatOf(job_);
  MemoryDisk tree_{0};
  MemoryDisk::View old_view_{tree_}, new_view_{tree_};
  Disk& old_ = posix_ ? PosixDisk() : old_view_;
  Disk& new_ = posix_ ? PosixDisk() : new_view_;
};

TEST_P(EpochFolderTest, AWriterOfAnOlderEpochEndsWithAnErrorAndTouchesNothing) {
  auto zombie = CheckpointWriter::Open(old_, format_, PartialOf(job_, 4, kZombie));
  ASSERT_TRUE(zombie.ok()) << zombie.status();
  BeginNewer();
  const auto sealed = WriteAndSeal(new_, job_, 4, kNewer);
  ASSERT_TRUE(sealed.ok()) << sealed.status();
  std::vector<float> junk(format_.parameters[0].cols, -1);
  auto* const state = reinterpret_cast<std::byte*>(junk.data());
  const Tile row = {.rows = 1, .elements = format_.parameters[0].cols};
  EXPECT_TRUE(zombie->Write(row, junk.data(), std::vector{state, state}).ok());
  EXPECT_EQ(zombie->Finish().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(OpenAll(new_, job_, sealed->path)->Verify().ok());
}

TEST_P(EpochFolderTest, AnOlderEpochCannotBeginAnotherCheckpoint) {
  BeginNewer();
  EXPECT_EQ(CheckpointWriter::Open(old_, format_, PartialOf(job_, 4, kZombie)).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_THAT(Names(), ElementsAre(".partial-job-e10"));
}

TEST_P(EpochFolderTest, AnOlderEpochCannotSeal) {
  ASSERT_TRUE(WriteTestTiles(old_, format_, PartialOf(job_, 4, kZombie), 64).ok());
  BeginNewer();
  EXPECT_EQ(SealStep(old_, job_, 4, kZombie).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Names(), ElementsAre(".partial-job-e10"));
}

// The zombie was stopped just before the rename, or just before it prunes.
TEST_P(EpochFolderTest, AnOlderEpochCannotPublishNorRetire) {
  ASSERT_TRUE(WriteAndSeal(old_, job_, 3, kZombie).ok());
  const std::string partial = PartialOf(job_, 4, kZombie);
  ASSERT_TRUE(WriteTestTiles(old_, format_, partial, 64).ok());
  BeginNewer();
  EXPECT_EQ(PublishFolder(old_, partial, StepFolder(dir_, 4)).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(RetireFolder(old_, StepFolder(dir_, 3), EpochFolder(dir_, kZombie)).code(),
            absl::StatusCode::kNotFound);
  EXPECT_THAT(Names(), ElementsAre(".partial-job-e10", "step-000003"));
}

TEST_P(EpochFolderTest, CleaningUpSparesTheNewerEpochOfTheSameJob) {
  BeginNewer();
  EXPECT_THAT(Names(), ElementsAre(".partial-job-e10"));
  ASSERT_TRUE(WriteTestTiles(new_, format_, PartialOf(job_, 4, kNewer), 64).ok());
  ASSERT_TRUE(RemovePartialFolders(old_, dir_, kZombie).ok());
  const auto sealed = SealStep(new_, job_, 4, kNewer);
  EXPECT_TRUE(sealed.ok()) << sealed.status();
  ASSERT_TRUE(RemovePartialFolders(new_, dir_, kNewer).ok());
  EXPECT_THAT(Names(), ElementsAre("step-000004"));
}

// Names that nearly are the job's, and those of other jobs and programs.
TEST_P(EpochFolderTest, CleaningUpLeavesOthersAlone) {
  const std::vector<std::string> foreign = {
      ".partial-job-e",     ".partial-job-e1x", ".partial-job-e+1", ".partial-job-1-e1",
      ".partial-jo-e1",     ".partial-step-4",  ".partial-x",       ".removed-other-e1",
      ".removed-something", ".snapshot"};
  for (const std::string& name : foreign) {
    ASSERT_TRUE(new_.CreateFolder(absl::StrCat(dir_, "/", name)).ok());
  }
  for (const char* name : {".partial-parent-e7", ".removed-parent-e6", ".removed-job-e1"}) {
    ASSERT_TRUE(new_.CreateFolder(absl::StrCat(dir_, "/", name)).ok());
  }
  ASSERT_TRUE(RemovePartialFolders(new_, dir_, kNewer, {"parent", ""}).ok());
  EXPECT_THAT(Names(), testing::UnorderedElementsAreArray(foreign));
}

// What may come from outside stays one name in the folder.
TEST_P(EpochFolderTest, AJobIdIsNoPath) {
  EXPECT_EQ(EpochFolder("/d", {"../../up", 1}), "/d/.partial-.._.._up-e1");
}

INSTANTIATE_TEST_SUITE_P(All, EpochFolderTest, testing::Values(Kind::kPosix, Kind::kMemory),
                         [](const auto& info) {
                           return info.param == Kind::kPosix ? "posix" : "memory";
                         });

}  // namespace
}  // namespace waferstream
