#include "client/run_folder.h"

#include <filesystem>
#include <fstream>

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
  EXPECT_TRUE(CreateRunFolder("--run-dir", dir).ok());
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
