#include "base/memory_limit.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace waferstream {
namespace {

class MemoryLimitTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::remove_all(root_); }
  void Write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + "/" + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  std::optional<uint64_t> Limit() const { return CgroupMemoryLimit(root_ + "/self", root_); }

  const std::string root_ = testing::TempDir() + "/cgroup";
};

TEST_F(MemoryLimitTest, IsTheTightestOnTheWayToTheRoot) {
  Write("self", "0::/pods/one/box\n");
  Write("pods/one/box/memory.max", "max\n");
  EXPECT_EQ(Limit(), std::nullopt);
  Write("pods/one/memory.max", "3000\n");
  Write("pods/memory.max", "5000\n");
  EXPECT_EQ(Limit(), 3000u);
  Write("pods/one/box/memory.max", "2000\n");
  EXPECT_EQ(Limit(), 2000u);
}

// As a container sees it: its own group is the root.
TEST_F(MemoryLimitTest, ReadsTheRootOfAContainer) {
  Write("self", "0::/\n");
  Write("memory.max", "4096\n");
  EXPECT_EQ(Limit(), 4096u);
  Write("self", "0::/a/group/that/only/the/host/has\n");
  EXPECT_EQ(Limit(), 4096u);
}

TEST_F(MemoryLimitTest, ReadsTheFirstVersionToo) {
  Write("self", "5:cpu,cpuacct:/a\n4:memory:/b/c\n0::/\n");
  Write("memory/b/c/memory.limit_in_bytes", "8192\n");
  EXPECT_EQ(Limit(), 8192u);
}

TEST_F(MemoryLimitTest, WhatCannotBeReadIsNoLimit) {
  EXPECT_EQ(Limit(), std::nullopt);
  Write("self", "nonsense\n0::\n::::\n");
  EXPECT_EQ(Limit(), std::nullopt);
  Write("memory.max", "lots\n");
  EXPECT_EQ(Limit(), std::nullopt);
}

}  // namespace
}  // namespace waferstream
