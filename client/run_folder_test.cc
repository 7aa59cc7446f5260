#include "client/run_folder.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;

class RunFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  const fs::path root_ = fs::path(testing::TempDir()) / "run_folder";
};

TEST_F(RunFolderTest, DefaultName) {
  EXPECT_EQ(DefaultRunFolder("austen", absl::UnixEpoch(), 42), "runs/austen-19700101-000000-42");
}

TEST_F(RunFolderTest, CreatesAndAcceptsAnEmptyOne) {
  const std::string dir = (root_ / "a/b").string();
  EXPECT_EQ(*CreateRunFolder("--run-dir", dir), dir);
  EXPECT_TRUE(fs::is_directory(dir));
  fs::create_directories(root_ / "empty");
  EXPECT_TRUE(CreateRunFolder("--run-dir", (root_ / "empty").string()).ok());
  EXPECT_FALSE(CreateRunFolder("--run-dir", dir).ok());  // somebody has it
  EXPECT_EQ(CreateRunFolder("--run-dir", "").status().message(), "--run-dir: is empty");
}

TEST_F(RunFolderTest, OfManyAtOnceOneGetsIt) {
  const std::string dir = (root_ / "deep/a").string();
  std::vector<std::thread> threads;
  std::vector<absl::StatusOr<std::string>> made(16);
  for (auto& one : made) threads.emplace_back([&] { one = CreateRunFolder("--run-dir", dir); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::count_if(made.begin(), made.end(), [](const auto& one) { return one.ok(); }), 1);
}

// Two containers that share a folder may have one second and one process number.
TEST_F(RunFolderTest, ADefaultNameThatIsTakenIsNotTheEnd) {
  const std::string dir = (root_ / "runs/moss-1").string();
  EXPECT_EQ(*CreateNewRunFolder(dir), dir);
  EXPECT_EQ(*CreateNewRunFolder(dir), dir + "-2");
  EXPECT_EQ(*CreateNewRunFolder(dir), dir + "-3");
  RemoveRunFolder(dir + "-2");
  EXPECT_EQ(*CreateNewRunFolder(dir), dir + "-2");
  EXPECT_FALSE(CreateNewRunFolder("/proc/waferstream/run").ok());
}

TEST_F(RunFolderTest, RefusesWhatIsInUse) {
  std::ofstream(root_ / "file") << "text";
  for (const fs::path& dir : {root_, root_ / "file", root_ / "file/below"}) {
    const absl::Status status = CreateRunFolder("--run-dir", dir.string()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << dir;
    EXPECT_NE(status.message().find(dir.string()), std::string::npos) << status;
    EXPECT_EQ(status.message().find("--run-dir: "), 0u) << status;
  }
}

// /proc refuses new folders to everybody, root included.
TEST_F(RunFolderTest, RefusesWhereNothingCanBeCreated) {
  EXPECT_FALSE(CreateRunFolder("--run-dir", "/proc/waferstream/run").ok());
}

}  // namespace
}  // namespace waferstream
