#include "client/controller_address.h"

#include <cstdlib>
#include <filesystem>

#include "client/cluster_file.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

class ControllerAddressTest : public testing::Test {
 protected:
  void SetUp() override {
    setenv("XDG_STATE_HOME", testing::TempDir().c_str(), 1);
    unsetenv("WAFERSTREAM_CONTROLLER");
    std::filesystem::remove_all(*DefaultClusterDir());
    std::filesystem::create_directories(*DefaultClusterDir());
  }
};

TEST_F(ControllerAddressTest, FlagThenVariableThenCluster) {
  EXPECT_EQ(ResolveController("").status().code(), absl::StatusCode::kUnavailable);
  ASSERT_TRUE(
      WriteClusterFile(*DefaultClusterDir(), {.controller = "127.0.0.1:1", .boot_id = BootId()})
          .ok());
  EXPECT_EQ(*ResolveController(""), "127.0.0.1:1");
  setenv("WAFERSTREAM_CONTROLLER", "host:2", 1);
  EXPECT_EQ(*ResolveController(""), "host:2");
  EXPECT_EQ(*ResolveController("[::1]:3"), "[::1]:3");
}

TEST_F(ControllerAddressTest, AClusterThatStillStartsHasNoAddress) {
  ASSERT_TRUE(WriteClusterFile(*DefaultClusterDir(), {.boot_id = BootId()}).ok());
  EXPECT_EQ(ResolveController("").status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ControllerAddressTest, BadAddressesAreUsageErrors) {
  for (const char* bad : {"host", "host:", ":5", "host:0", "host:65536", "host:x", "host:5x"}) {
    const absl::Status status = ResolveController(bad).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_NE(status.message().find("--controller"), std::string::npos);
  }
  setenv("WAFERSTREAM_CONTROLLER", "nonsense", 1);
  EXPECT_NE(ResolveController("").status().message().find("WAFERSTREAM_CONTROLLER"),
            std::string::npos);
}

}  // namespace
}  // namespace waferstream
