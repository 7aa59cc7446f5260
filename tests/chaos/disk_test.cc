// A disk that is full: a small file system in memory, mounted where this test alone sees it. Needs
// no root, but user and mount namespaces; else the test is skipped.
#include <sched.h>
#include <sys/mount.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/controller_client.h"
#include "fabric/test_network.h"
#include "gtest/gtest.h"
#include "tests/chaos/chaos_cluster.h"
#include "tests/chaos/chaos_job.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;

absl::Status MountSmallDisk(const fs::path& dir, const std::string& size) {
  const absl::Status own =
      EnterOwnNetwork();  // and with it a user namespace, in which we may mount
  if (!own.ok()) return own;
  static const int entered = unshare(CLONE_NEWNS);
  if (entered != 0) return absl::ErrnoToStatus(errno, "a mount namespace");
  fs::create_directories(dir);
  const std::string options = absl::StrCat("size=", size);
  if (mount("small", dir.c_str(), "tmpfs", 0, options.c_str()) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, "mounting a tmpfs");
}

// Writes until nothing more fits.
void FillDisk(const fs::path& path) {
  std::ofstream file(path, std::ios::binary);
  const std::string block(4096, 'x');
  while (file.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
  }
}

// Takes a mount away again, when the processes that use it are gone.
struct Unmount {
  fs::path dir;
  ~Unmount() { umount2(dir.c_str(), MNT_DETACH); }
};

TEST(DiskTest, ACheckpointThatDoesNotFitWaitsForRoom) {
  const fs::path disk = fs::path(testing::TempDir()) / "small_disk";
  const absl::Status mounted = MountSmallDisk(disk, "600k");
  if (!mounted.ok()) GTEST_SKIP() << mounted;
  const Unmount unmount{disk};
  ChaosCluster cluster("disk_full", {.shape = {.wafers = 2, .memoryx = 1, .swarmx = 1}});
  const std::string job_id =
      cluster.Submit(ChaosJob(cluster, {absl::StrCat("checkpoint.dir=", disk.string())}));
  const JobStatus paused = cluster.AwaitEnd(job_id);
  ASSERT_EQ(paused.state(), PAUSED) << paused.reason();
  EXPECT_TRUE(absl::StrContains(paused.reason(), "No space left on device")) << paused.reason();

  ASSERT_EQ(mount("small", disk.c_str(), "tmpfs", MS_REMOUNT, "size=64m"), 0);
  ResumeRequest resume;
  resume.set_request_id(NewRequestId());
  resume.set_job_id(job_id);
  ASSERT_TRUE(cluster.client().Resume(resume).ok());
  ExpectSameResult(cluster.AwaitEnd(job_id));
}

// The controller's own disk: the commit is held up until it can be recorded, and nothing is lost.
TEST(DiskTest, ACommitWaitsUntilItCanBeRecorded) {
  const fs::path disk = fs::path(testing::TempDir()) / "small_state_disk";
  const absl::Status mounted = MountSmallDisk(disk, "16m");
  if (!mounted.ok()) GTEST_SKIP() << mounted;
  const Unmount unmount{disk};
  ChaosCluster cluster("state_disk_full", {.shape = {.wafers = 2, .memoryx = 1, .swarmx = 1},
                                           .state = disk / "state"});
  const std::string job_id = cluster.Submit(ChaosJob(cluster));
  cluster.Await(job_id, [](const JobStatus& job) { return job.step() >= 10; });
  const fs::path filling = disk / "filling";
  FillDisk(filling);
  const JobStatus held = cluster.Await(job_id, [](const JobStatus& job) {
    return absl::StartsWith(job.reason(), "waits to be recorded: ") || HasEnded(job);
  });
  EXPECT_EQ(held.state(), RUNNING) << held.reason();
  fs::remove(filling);
  ExpectSameResult(cluster.AwaitEnd(job_id));
  EXPECT_TRUE(absl::StrContains(cluster.Events(job_id), "was held up")) << cluster.Events(job_id);
}

}  // namespace
}  // namespace waferstream
