#include "client/scratch_folder.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "client/child_process.h"
#include "client/test_wait.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;

TEST(ScratchFolderTest, IsGoneWithItsOwner) {
  setenv("TMPDIR", testing::TempDir().c_str(), 1);
  std::string path;
  {
    absl::StatusOr<ScratchFolder> folder = ScratchFolder::Make("test");
    ASSERT_TRUE(folder.ok()) << folder.status();
    path = folder->path();
    fs::create_directory(path + "/logs");
    std::ofstream(path + "/logs/a.log") << "text";
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST(ScratchFolderTest, ABadPlaceIsNamed) {
  setenv("TMPDIR", "/nonexistent", 1);
  EXPECT_NE(ScratchFolder::Make("test").status().message().find("/nonexistent"), std::string::npos);
}

// Its owner is killed while a child still holds the guard's descriptor: the folder stays as long as
// the child does.
TEST(ScratchFolderTest, OutlivesItsOwnerUntilTheLastHolderEnds) {
  setenv("TMPDIR", testing::TempDir().c_str(), 1);
  const std::string holder_may_end = testing::TempDir() + "/holder_may_end";
  const std::string path_file = testing::TempDir() + "/path";
  unlink(holder_may_end.c_str());
  const pid_t owner = fork();
  if (owner == 0) {
    absl::StatusOr<ScratchFolder> folder = ScratchFolder::Make("test");
    ProcessSpec spec;
    spec.name = "holder";
    spec.argv = {"/bin/sh", "-c", "while [ ! -e " + holder_may_end + " ]; do sleep 0.01; done"};
    spec.log = folder->path() + "/log";
    spec.stays = true;
    spec.inherited_fd = folder->guard_fd();
    absl::StatusOr<ChildProcess> holder = ChildProcess::Start(spec);
    std::ofstream(path_file) << folder->path() << std::flush;
    kill(getpid(), SIGKILL);
  }
  int status;
  ASSERT_EQ(waitpid(owner, &status, 0), owner);
  std::string path;
  std::ifstream(path_file) >> path;
  ASSERT_FALSE(path.empty());
  EXPECT_TRUE(fs::exists(path + "/log"));
  std::ofstream(holder_may_end).close();
  EXPECT_TRUE(WaitFor([&] { return !fs::exists(path); }));
}

}  // namespace
}  // namespace waferstream
