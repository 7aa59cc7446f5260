// Who may use a folder of checkpoints, on the real disk and on the simulated one.
#include "checkpoint/ownership.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <thread>

#include "checkpoint/inspect.h"
#include "checkpoint/memory_disk.h"
#include "checkpoint/test_checkpoint.h"

namespace waferstream {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

enum class Kind { kPosix, kMemory };

FolderUser User(const std::string& id, std::vector<std::string> ancestors = {},
                uint64_t start_step = 0) {
  return {.job_id = id,
          .name = "moss",
          .ancestors = std::move(ancestors),
          .from = "",
          .start_step = start_step};
}

class OwnershipTest : public testing::TestWithParam<Kind> {
 protected:
  // Claims, and says why not.
  std::string Claim(const FolderUser& user, std::unique_ptr<FolderClaim>* kept = nullptr) {
    auto claim = ClaimFolder(disk_, dir_, user);
    if (!claim.ok()) {
      EXPECT_EQ(claim.status().code(), absl::StatusCode::kFailedPrecondition);
      EXPECT_EQ(claim.status().message().find('\n'), absl::string_view::npos);
      return std::string(claim.status().message());
    }
    if (kept != nullptr) *kept = *std::move(claim);
    return "";
  }

  // A checkpoint of a job that comes and goes.
  void Seal(const std::string& id, uint64_t steps) {
    const WriterEpoch epoch = {id, 1};
    ASSERT_TRUE(CreateFolders(disk_, dir_).ok());
    ASSERT_TRUE(WriteSmallFile(disk_, dir_ + "/.owner",
                               absl::StrCat("{\"job\": \"", id, "\", \"name\": \"moss\"}"))
                    .ok());
    ASSERT_TRUE(BeginEpoch(disk_, dir_, epoch).ok());
    const auto sealed = WriteAndSeal(disk_, job_, steps, epoch);
    ASSERT_TRUE(sealed.ok()) << sealed.status();
    ASSERT_TRUE(RemovePartialFolders(disk_, dir_, epoch).ok());
  }
  void Damage(uint64_t steps, const char* file) {
    ASSERT_TRUE(disk_.Remove(absl::StrCat(StepFolder(dir_, steps), "/", file)).ok());
  }
  std::vector<std::string> Names() { return *disk_.List(dir_); }

  const bool posix_ = GetParam() == Kind::kPosix;
  const std::string root_ = posix_ ? FreshFolder() : "";
  const std::string dir_ = root_ + "/nest";
  const JobSpec job_ = OddJob(dir_);
  MemoryDisk tree_{0};
  MemoryDisk::View view_{tree_};
  Disk& disk_ = posix_ ? PosixDisk() : view_;
};

// Copied, such a value would overflow the stack.
TEST_P(OwnershipTest, AnOwnerFileThatIsNoneIsNobodys) {
  const std::string deep = std::string(30000, '[') + std::string(30000, ']');
  ASSERT_TRUE(CreateFolders(disk_, dir_).ok());
  for (const std::string& text : {std::string(), std::string("{\"job\": \"jo"), std::string("[]"),
                                  std::string("{\"job\": 1, \"name\": 2}"),
                                  absl::StrCat("{\"job\": ", deep, ", \"name\": \"moss\"}")}) {
    ASSERT_TRUE(WriteSmallFile(disk_, dir_ + "/.owner", text).ok());
    EXPECT_TRUE(CheckFolder(disk_, dir_, User("")).ok()) << text.substr(0, 40);
  }
}

TEST_P(OwnershipTest, TwoJobsAtOnceAreRefusedWhileTheFirstLives) {
  std::unique_ptr<FolderClaim> first;
  EXPECT_EQ(Claim(User("job-1-a"), &first), "");
  EXPECT_THAT(Claim(User("job-1-b")),
              AllOf(HasSubstr(dir_), HasSubstr("in use by job moss (job-1-a)")));
  EXPECT_FALSE(CheckFolder(disk_, dir_, User("")).ok());
  // Another process of the same job, and its end, change nothing.
  std::unique_ptr<FolderClaim> second;
  EXPECT_EQ(Claim(User("job-1-a"), &second), "");
  second->Release();
  second.reset();
  EXPECT_NE(Claim(User("job-1-b")), "");
  first->Release();
  EXPECT_EQ(Claim(User("job-1-b")), "");
}

// A process that is killed does nothing any more.
TEST_P(OwnershipTest, ADeadClaimOnAnEmptyFolderLocksNobodyOut) {
  EXPECT_EQ(Claim(User("job-1-a")), "");  // the claim ends here, without Release
  EXPECT_THAT(Names(), ElementsAre(".owner"));
  EXPECT_EQ(Claim(User("job-1-b")), "");
  EXPECT_FALSE(CheckOwner(disk_, dir_, "job-1-a").ok());
  EXPECT_TRUE(CheckOwner(disk_, dir_, "job-1-b").ok());
  // What is half written there is nobody's.
  ASSERT_TRUE(WriteSmallFile(disk_, dir_ + "/.owner", "{\"job\": \"jo").ok());
  EXPECT_EQ(Claim(User("job-1-c")), "");
}

TEST_P(OwnershipTest, AJobGoesOnInItsFolderAfterItsProcessDied) {
  EXPECT_EQ(Claim(User("job-1-a")), "");
  Seal("job-1-a", 2);
  EXPECT_EQ(Claim(User("job-1-a")), "");
  Damage(2, kManifestFile);
  EXPECT_EQ(Claim(User("job-1-a")), "");
}

TEST_P(OwnershipTest, ACheckpointOfAnotherJobKeepsTheFolder) {
  Seal("job-1-a", 4);
  const std::string why = Claim(User("job-1-b"));
  EXPECT_THAT(why, AllOf(HasSubstr(dir_), HasSubstr("step-000004 of job odd (job-1-a)"),
                         HasSubstr("another folder")));
  EXPECT_EQ(CheckFolder(disk_, dir_, User("")).message(), why);
  // Also when it is damaged, so that nobody can tell whose it is.
  Damage(4, kManifestFile);
  EXPECT_THAT(Claim(User("job-1-b")), HasSubstr("step-000004 of an unknown job, and damaged"));
  EXPECT_THAT(Names(), ElementsAre(".owner", "step-000004"));
}

// A refusal before anybody was there writes nothing, not even a mark.
TEST_P(OwnershipTest, ARefusedFolderIsNotTouched) {
  Seal("j-000001", 4);  // an older version's; it had no owner file
  ASSERT_TRUE(disk_.Remove(dir_ + "/.owner").ok());
  EXPECT_NE(Claim(User("job-1-b")), "");
  EXPECT_THAT(Names(), ElementsAre("step-000004"));
}

TEST_P(OwnershipTest, ADescendantGoesOnWhereItsAncestorsStopped) {
  Seal("job-1-a", 4);
  Seal("job-1-b", 6);
  EXPECT_EQ(Claim(User("job-1-c", {"job-1-b", "job-1-a"}, 6)), "");
  EXPECT_THAT(Claim(User("job-1-d", {"job-1-a"}, 4)),
              HasSubstr("step-000006 of job odd (job-1-b)"));
  // By name alone, as of an older version or of no job.
  FolderUser from = User("job-1-e", {}, 6);
  EXPECT_NE(Claim(from), "");
  from.ancestors = {"job-1-a"};
  from.from = StepFolder(dir_, 6);
  EXPECT_EQ(Claim(from), "");
}

TEST_P(OwnershipTest, AnAncestorThatLivesKeepsItsFolder) {
  std::unique_ptr<FolderClaim> parent;
  EXPECT_EQ(Claim(User("job-1-a"), &parent), "");
  Seal("job-1-a", 4);
  EXPECT_THAT(Claim(User("job-2-b", {"job-1-a"}, 4)), HasSubstr("in use by job moss (job-1-a)"));
  parent->Release();
  EXPECT_EQ(Claim(User("job-2-b", {"job-1-a"}, 4)), "");
  // And the parent that comes back finds that somebody went on.
  EXPECT_EQ(CheckOwner(disk_, dir_, "job-1-a").message(),
            absl::StrCat(dir_, " is now that of job moss (job-2-b)"));
}

TEST_P(OwnershipTest, LaterOnesOfTheLineAreNotReplacedUnlessTheyAreDamaged) {
  Seal("job-1-a", 6);
  Seal("job-1-a", 8);
  const FolderUser user = User("job-2-b", {"job-1-a"}, 6);
  EXPECT_THAT(Claim(user), AllOf(HasSubstr("step-000008 of job odd (job-1-a), later than step 6"),
                                 HasSubstr("move it away")));
  // Any byte.
  const std::string model = StepFolder(dir_, 8) + "/" + kModelFile;
  const auto file = *disk_.OpenForWriting(model);
  ASSERT_TRUE(file->WriteAt(*file->Size() - 1, "x", 1).ok());
  EXPECT_EQ(Claim(user), "");
}

// What the job went aside for is there, complete, and so is what it wrote itself.
TEST_P(OwnershipTest, ADamagedOneIsMovedAsideForOneOfItsName) {
  Seal("job-1-a", 6);
  Seal("job-1-a", 8);
  Damage(8, kManifestFile);
  ASSERT_TRUE(disk_.CreateFolder(dir_ + "/damaged-step-000008").ok());
  EXPECT_EQ(Claim(User("job-2-b", {"job-1-a"}, 6)), "");
  const WriterEpoch epoch = {"job-2-b", 1};
  ASSERT_TRUE(BeginEpoch(disk_, dir_, epoch, {"job-1-a"}).ok());
  ASSERT_TRUE(WriteTestTiles(disk_, FormatOf(job_), PartialOf(job_, 8, epoch), 64).ok());
  Manifest manifest;
  manifest.steps_done = 8;
  manifest.job = job_;
  manifest.ancestors = {"job-1-a"};
  const auto sealed = SealCheckpoint(disk_, FormatOf(job_), epoch, manifest, {});
  ASSERT_TRUE(sealed.ok()) << sealed.status();
  EXPECT_THAT(sealed->notes, ElementsAre(AllOf(HasSubstr("step-000008 was there already"),
                                               HasSubstr("damaged-step-000008-2"))));
  EXPECT_TRUE(disk_.Exists(dir_ + "/damaged-step-000008-2/" + kModelFile));
  const auto read = InspectCheckpoint(disk_, StepFolder(dir_, 8), Depth::kBytes);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->written_by, epoch);
  EXPECT_THAT(read->ancestors, ElementsAre("job-1-a"));
}

// Whoever has lost the folder, by whatever chance, seals and removes nothing there.
TEST_P(OwnershipTest, OnlyTheOwnerSeals) {
  const WriterEpoch a = {"job-1-a", 1}, b = {"job-1-b", 1};
  EXPECT_EQ(Claim(User("job-1-a")), "");
  ASSERT_TRUE(BeginEpoch(disk_, dir_, a).ok());
  ASSERT_TRUE(WriteTestTiles(disk_, FormatOf(job_), PartialOf(job_, 2, a), 64).ok());
  EXPECT_EQ(Claim(User("job-1-b")), "");
  ASSERT_TRUE(BeginEpoch(disk_, dir_, b).ok());
  const auto late = SealStep(disk_, job_, 2, a);
  EXPECT_EQ(late.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(late.status().message(), HasSubstr("is now that of job moss (job-1-b)"));
  ASSERT_TRUE(WriteAndSeal(disk_, job_, 2, b).ok());
  EXPECT_EQ(SealStep(disk_, job_, 2, a).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReadManifest(disk_, StepFolder(dir_, 2))->written_by, b);
  // Nor is it given the other one's for its own.
  ASSERT_TRUE(RemovePartialFolders(disk_, dir_, a).ok());
  EXPECT_EQ(SealStep(disk_, job_, 2, a).status().code(), absl::StatusCode::kFailedPrecondition);
}

// keep counts the job's own.
TEST_P(OwnershipTest, PruningSparesAncestors) {
  JobSpec job = job_;
  job.mutable_checkpoint()->set_keep(1);
  Seal("job-1-a", 2);
  Seal("job-1-a", 4);
  EXPECT_EQ(Claim(User("job-2-b", {"job-1-a"}, 4)), "");
  const WriterEpoch epoch = {"job-2-b", 1};
  ASSERT_TRUE(BeginEpoch(disk_, dir_, epoch).ok());
  for (const uint64_t steps : {6, 8}) ASSERT_TRUE(WriteAndSeal(disk_, job, steps, epoch).ok());
  EXPECT_THAT(Names(), ElementsAre(".owner", ".partial-job-2-b-e1", "step-000002", "step-000004",
                                   "step-000008"));
}

TEST_P(OwnershipTest, OfManyAtOnceOneGetsIt) {
  std::vector<std::thread> threads;
  std::vector<absl::StatusOr<std::unique_ptr<FolderClaim>>> claims(8);
  for (size_t i = 0; i < claims.size(); ++i) {
    threads.emplace_back(
        [&, i] { claims[i] = ClaimFolder(disk_, dir_, User(absl::StrCat("job-1-", i))); });
  }
  for (std::thread& thread : threads) thread.join();
  int got = 0;
  for (size_t i = 0; i < claims.size(); ++i) {
    got += claims[i].ok();
    EXPECT_EQ(claims[i].ok(), CheckOwner(disk_, dir_, absl::StrCat("job-1-", i)).ok());
  }
  EXPECT_EQ(got, 1);
}

INSTANTIATE_TEST_SUITE_P(All, OwnershipTest, testing::Values(Kind::kPosix, Kind::kMemory),
                         [](const auto& info) {
                           return info.param == Kind::kPosix ? "posix" : "memory";
                         });

// A crash frees the locks of its process, and of no other.
TEST(Ownership, ACrashFreesTheLock) {
  MemoryDisk tree(0);
  MemoryDisk::View a(tree), b(tree);
  auto claim = ClaimFolder(a, "/nest", User("job-1-a"));
  ASSERT_TRUE(claim.ok());
  EXPECT_FALSE(ClaimFolder(b, "/nest", User("job-1-b")).ok());
  a.Crash();
  auto after = ClaimFolder(b, "/nest", User("job-1-b"));
  EXPECT_TRUE(after.ok()) << after.status();
  claim->reset();  // what is left of the dead process frees nothing
  EXPECT_TRUE(b.IsLocked("/nest/.owner"));
}

// On a file system without locks the name counts, and the refusal says what to do.
class NoLocks final : public Disk {
 public:
  explicit NoLocks(Disk& disk) : disk_(disk) {}
  absl::StatusOr<std::unique_ptr<File>> OpenForReading(const std::string& path) override {
    return disk_.OpenForReading(path);
  }
  absl::StatusOr<std::unique_ptr<File>> OpenForWriting(const std::string& path) override {
    return disk_.OpenForWriting(path);
  }
  absl::Status CreateFolder(const std::string& path) override { return disk_.CreateFolder(path); }
  absl::StatusOr<std::vector<std::string>> List(const std::string& path) override {
    return disk_.List(path);
  }
  bool Exists(const std::string& path) override { return disk_.Exists(path); }
  absl::StatusOr<FileStamp> StampOf(const std::string& path) override {
    return disk_.StampOf(path);
  }
  bool IsSame(const std::string& a, const std::string& b) override { return disk_.IsSame(a, b); }
  absl::Status Remove(const std::string& path) override { return disk_.Remove(path); }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    return disk_.Rename(from, to);
  }
  absl::Status Exchange(const std::string& a, const std::string& b) override {
    return disk_.Exchange(a, b);
  }
  absl::Status SyncFolder(const std::string& path) override { return disk_.SyncFolder(path); }
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string&) override {
    return absl::UnimplementedError("no locks");
  }
  bool IsLocked(const std::string&) override { return false; }

 private:
  Disk& disk_;
};

TEST(Ownership, WithoutLocksTheNameCounts) {
  MemoryDisk tree(0);
  MemoryDisk::View view(tree);
  NoLocks disk(view);
  auto claim = ClaimFolder(disk, "/nest", User("job-1-a"));
  ASSERT_TRUE(claim.ok()) << claim.status();
  EXPECT_TRUE(ClaimFolder(disk, "/nest", User("job-1-a")).ok());
  EXPECT_TRUE(ClaimFolder(disk, "/nest", User("job-2-b", {"job-1-a"})).ok());
  EXPECT_THAT(ClaimFolder(disk, "/nest", User("job-1-c")).status().message(),
              AllOf(HasSubstr("job moss (job-2-b)"), HasSubstr("remove /nest/.owner")));
  ASSERT_TRUE(view.Remove("/nest/.owner").ok());
  claim = ClaimFolder(disk, "/nest", User("job-1-c"));
  ASSERT_TRUE(claim.ok()) << claim.status();
  (*claim)->Release();
  EXPECT_TRUE(ClaimFolder(disk, "/nest", User("job-1-d")).ok());
}

}  // namespace
}  // namespace waferstream
