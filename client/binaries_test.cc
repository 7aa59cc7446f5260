#include "client/binaries.h"

#include <filesystem>
#include <fstream>

#include "gtest/gtest.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;

class BinariesTest : public testing::Test {
 protected:
  void SetUp() override { fs::remove_all(root_); }
  void MakeProgram(const fs::path& path) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << "#!/bin/sh\n";
    fs::permissions(root_ / path, fs::perms::owner_all);
  }
  const fs::path root_ = fs::path(testing::TempDir()) / "binaries";
};

TEST_F(BinariesTest, Installation) {
  for (const char* role : {"controller", "memoryx", "swarmx", "wafer_node"}) {
    MakeProgram(std::string("bin/waferstream-") + role);
  }
  const auto found = FindRoleBinariesFrom((root_ / "bin").string());
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->controller, (root_ / "bin/waferstream-controller").string());
  EXPECT_EQ(found->wafer_node, (root_ / "bin/waferstream-wafer_node").string());
}

TEST_F(BinariesTest, BuildTree) {
  fs::create_directories(root_ / "client");
  for (const char* role : {"controller", "memoryx", "swarmx", "wafer_node"}) {
    MakeProgram(fs::path(role) / role);
  }
  const auto found = FindRoleBinariesFrom((root_ / "client").string());
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->swarmx, (root_ / "swarmx/swarmx").string());
}

TEST_F(BinariesTest, FoldersAndDataAreNotPrograms) {
  fs::create_directories(root_ / "bin/controller");
  std::ofstream(root_ / "bin/waferstream-controller") << "not executable";
  const absl::Status status = FindRoleBinariesFrom((root_ / "bin").string()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message().find("controller: "), 0u) << status;
}

}  // namespace
}  // namespace waferstream
