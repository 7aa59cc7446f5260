// Whatever fails at whatever moment while a checkpoint is written, sealed and pruned: a good
// checkpoint stays. Every operation in turn fails, is torn, or is the last of its process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "checkpoint/memory_disk.h"
#include "checkpoint/test_checkpoint.h"

namespace waferstream {
namespace {

using testing::AnyOf;

const WriterEpoch kOld = {"job", 1};
const WriterEpoch kNew = {"job", 2};
constexpr char kDir[] = "/checkpoints";

// As small as a model can be: every operation is tried.
JobSpec Job(uint32_t keep) {
  JobSpec job = OddJob(kDir);
  job.mutable_model()->set_layers(1);
  job.mutable_model()->set_hidden(2);
  job.mutable_model()->set_heads(1);
  job.mutable_model()->set_vocab(3);
  job.mutable_model()->set_context(2);
  job.mutable_model()->set_ffn(3);
  job.mutable_checkpoint()->set_keep(keep);
  return job;
}

// What the weights of a checkpoint say about who wrote it: the salt of TestRows.
std::string HashOf(int salt) {
  MemoryDisk tree(0);
  MemoryDisk::View disk(tree);
  WS_CHECK(BeginTestEpoch(disk, kDir, kOld).ok());
  return WriteAndSeal(disk, Job(1), 1, kOld, salt)->manifest.weights_hash;
}

struct Scenario {
  const char* name;
  uint64_t old_step;  // sealed before, with salt 1
  uint64_t new_step;  // written and sealed while the disk fails, with salt 2
  uint32_t keep;
};

class CrashTest : public testing::TestWithParam<Scenario> {
 protected:
  const JobSpec job_ = Job(GetParam().keep);
  const std::string old_hash_ = HashOf(1), new_hash_ = HashOf(2);

  // A tree on which the first checkpoint is sealed.
  std::unique_ptr<MemoryDisk> TreeWithOld(uint64_t seed) {
    auto tree = std::make_unique<MemoryDisk>(seed);
    MemoryDisk::View disk(*tree);
    EXPECT_TRUE(BeginTestEpoch(disk, kDir, kOld).ok());
    EXPECT_TRUE(WriteAndSeal(disk, job_, GetParam().old_step, kOld, 1).ok());
    disk.Crash();
    return tree;
  }

  absl::Status WriteNew(Disk& disk) {
    RETURN_IF_ERROR(BeginTestEpoch(disk, kDir, kNew));
    return WriteAndSeal(disk, job_, GetParam().new_step, kNew, 2).status();
  }

  // Every listed checkpoint is whole, and there is one: the old, or the new, or both.
  void ExpectGood(Disk& disk, const std::string& when) {
    const auto entries = ListCheckpoints(disk, kDir);
    ASSERT_TRUE(entries.ok()) << entries.status();
    ASSERT_FALSE(entries->empty()) << when;
    for (const CheckpointEntry& entry : *entries) {
      const auto reader = OpenAll(disk, job_, entry.path);
      ASSERT_TRUE(reader.ok()) << reader.status() << " " << when;
      ASSERT_TRUE(reader->Verify().ok()) << reader->Verify() << " " << when;
      EXPECT_THAT(entry.manifest.weights_hash, AnyOf(old_hash_, new_hash_)) << when;
    }
  }

  // The new one is sealed; of the old one what keep says.
  void ExpectNew(Disk& disk, const std::string& when) {
    ExpectGood(disk, when);
    const auto manifest = ReadManifest(disk, StepFolder(kDir, GetParam().new_step));
    ASSERT_TRUE(manifest.ok()) << manifest.status() << " " << when;
    EXPECT_EQ(manifest->weights_hash, new_hash_) << when;
  }
};

TEST_P(CrashTest, AProcessThatCrashesAtAnyOperationLeavesAGoodCheckpoint) {
  int last = 0;
  for (bool finished = false; !finished; ++last) {
    for (uint64_t seed = 0; seed < 4; ++seed) {
      const std::string when = absl::StrCat("crash at operation ", last, ", seed ", seed);
      const auto tree = TreeWithOld(seed);
      int operation = 0;
      MemoryDisk::View disk(*tree, [&](DiskOp, const std::string&) {
        // A write that is the last may be under way.
        if (operation++ < last) return DiskFault{};
        return DiskFault{absl::AbortedError("crashed"), seed % 2 == 0 ? size_t{7} : size_t{0}};
      });
      const absl::Status written = WriteNew(disk);
      finished = written.ok();
      disk.Crash();
      MemoryDisk::View after(*tree);
      ExpectGood(after, when);
      // The next epoch finds everything it needs, and the same step is written again.
      if (finished) ExpectNew(after, when);
      const WriterEpoch next = {"job", 3};
      ASSERT_TRUE(BeginTestEpoch(after, kDir, next).ok()) << when;
      ExpectGood(after, when);
      ASSERT_TRUE(WriteAndSeal(after, job_, GetParam().new_step, next, 2).ok()) << when;
      ExpectNew(after, when);
      ASSERT_FALSE(HasFailure());
    }
  }
  EXPECT_GT(last, 100);  // there was something to crash in
}

TEST_P(CrashTest, AnErrorAtAnyOperationLeavesAGoodCheckpoint) {
  bool finished = false;
  for (int failing = 0; !finished; ++failing) {
    const std::string when = absl::StrCat("error at operation ", failing);
    const auto tree = TreeWithOld(failing);
    int operation = 0;
    MemoryDisk::View disk(*tree, [&](DiskOp, const std::string&) {
      if (operation++ != failing) return DiskFault{};
      return DiskFault{absl::ResourceExhaustedError("No space left on device"), 5};
    });
    finished = WriteNew(disk).ok() && operation <= failing;
    MemoryDisk::View after(*tree);
    ExpectGood(after, when);
    ASSERT_FALSE(HasFailure());
  }
}

// The controller asks again, and the disk works again.
TEST_P(CrashTest, SealingAgainAfterAnErrorAtAnyOperationSeals) {
  bool finished = false;
  for (int failing = 0; !finished; ++failing) {
    const std::string when = absl::StrCat("error at operation ", failing);
    const auto tree = TreeWithOld(failing);
    int operation = 0;
    bool armed = false;
    MemoryDisk::View disk(*tree, [&](DiskOp, const std::string&) {
      if (!armed || operation++ != failing) return DiskFault{};
      return DiskFault{absl::InternalError("Input/output error"), 5};
    });
    const uint64_t step = GetParam().new_step;
    ASSERT_TRUE(BeginTestEpoch(disk, kDir, kNew).ok());
    const std::string partial = PartialOf(job_, step, kNew);
    ASSERT_TRUE(WriteTestTiles(disk, FormatOf(job_), partial, 64, 0, 1, 2).ok());
    armed = true;
    (void)SealStep(disk, job_, step, kNew);
    finished = operation <= failing;
    armed = false;
    const auto again = SealStep(disk, job_, step, kNew);
    ASSERT_TRUE(again.ok()) << again.status() << " " << when;
    EXPECT_EQ(again->manifest.weights_hash, new_hash_) << when;
    disk.Crash();
    MemoryDisk::View after(*tree);
    ExpectNew(after, when);
    ASSERT_FALSE(HasFailure());
  }
}

// A full or read-only disk from some operation on: an error, and the old checkpoint.
TEST_P(CrashTest, ADiskThatStaysFullLeavesTheOldCheckpoint) {
  for (int from = 0; from < 12; ++from) {
    const auto tree = TreeWithOld(from);
    int operation = 0;
    MemoryDisk::View disk(*tree, [&](DiskOp op, const std::string&) {
      const bool writes = op == DiskOp::kWrite || op == DiskOp::kResize;
      if (!writes || operation++ < from) return DiskFault{};
      return DiskFault{absl::ResourceExhaustedError("No space left on device"), 1};
    });
    EXPECT_EQ(WriteNew(disk).code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(ReadManifest(disk, StepFolder(kDir, GetParam().old_step))->weights_hash, old_hash_);
    ExpectGood(disk, absl::StrCat("full from write ", from));
  }
}

INSTANTIATE_TEST_SUITE_P(All, CrashTest,
                         testing::Values(Scenario{"keep_both", 1, 2, 2},
                                         Scenario{"prune_the_old", 1, 2, 1},
                                         Scenario{"replace_the_old", 2, 2, 1}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace waferstream
