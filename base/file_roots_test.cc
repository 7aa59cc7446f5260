#include "base/file_roots.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace waferstream {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class FileRootsTest : public ::testing::Test {
 protected:
  FileRootsTest() {
    fs::remove_all(dir_);
    fs::create_directories(dir_ + "/data/deep");
    fs::create_directories(dir_ + "/other");
    fs::create_directories(dir_ + "/data-more");
    std::ofstream(dir_ + "/other/file") << "x";
  }

  absl::Status Check(const std::string& path) {
    return CheckBelow("data.train", path, {dir_ + "/data"});
  }

  const std::string dir_ = fs::canonical(::testing::TempDir()).string() + "/roots";
};

TEST_F(FileRootsTest, BelowIsBelow) {
  for (const char* path : {"/data", "/data/", "/data/file", "/data/deep/x", "/data/not/there/yet",
                           "/data/deep/../file", "/data/./file"}) {
    EXPECT_EQ(Check(dir_ + path), absl::OkStatus()) << path;
  }
  EXPECT_EQ(CheckBelow("data.train", "/etc/passwd", {}), absl::OkStatus()) << "no roots";
  EXPECT_EQ(Check(""), absl::OkStatus()) << "the job names none";
}

TEST_F(FileRootsTest, TraversalAndNeighboursAreOutside) {
  for (const char* path : {"", "/data-more/file", "/other/file", "/data/../other/file",
                           "/data/deep/../../other/file", "/data/not/../../../etc/passwd"}) {
    const absl::Status status = Check(dir_ + path);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << path;
    EXPECT_THAT(std::string(status.message()), HasSubstr("data.train: " + dir_ + path));
  }
}

TEST_F(FileRootsTest, ALinkIsWhereItLeads) {
  fs::create_symlink(dir_ + "/other", dir_ + "/data/out");
  fs::create_symlink("deep", dir_ + "/data/in");
  fs::create_symlink(dir_ + "/data/deep", dir_ + "/other/back");
  EXPECT_EQ(Check(dir_ + "/data/in/x"), absl::OkStatus());
  EXPECT_EQ(Check(dir_ + "/other/back/x"), absl::OkStatus());
  EXPECT_THAT(std::string(Check(dir_ + "/data/out/file").message()),
              HasSubstr("leads to " + dir_ + "/other/file, which is outside of where jobs may"));
  EXPECT_FALSE(Check(dir_ + "/data/out/not-there").ok());
  EXPECT_FALSE(Check(dir_ + "/data/in/../../other").ok());
  fs::create_symlink(dir_ + "/data/loop", dir_ + "/data/loop");
  EXPECT_FALSE(Check(dir_ + "/data/loop/x").ok());
}

TEST_F(FileRootsTest, RootsAreFolders) {
  fs::create_symlink(dir_ + "/data", dir_ + "/link");
  EXPECT_THAT(*ParseRoots(dir_ + "/link:" + dir_ + "/other"),
              ElementsAre(dir_ + "/data", dir_ + "/other"));
  EXPECT_THAT(*ParseRoots(""), IsEmpty());
  for (const auto& [roots, what] : {std::pair<std::string, std::string>{"data", "not an absolute"},
                                    {dir_ + "/nowhere", "cannot be used"},
                                    {dir_ + "/data:" + dir_ + "/other/file", "is not a folder"}}) {
    const auto parsed = ParseRoots(roots);
    ASSERT_FALSE(parsed.ok()) << roots;
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr("--roots: "));
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr(what));
  }
}

}  // namespace
}  // namespace waferstream
