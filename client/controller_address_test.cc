#include "client/controller_address.h"

#include <cstdlib>
#include <filesystem>

#include "client/cluster_file.h"
#include "client/secret_file.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

class ControllerAddressTest : public testing::Test {
 protected:
  void SetUp() override {
    setenv("XDG_STATE_HOME", testing::TempDir().c_str(), 1);
    std::filesystem::remove_all(*DefaultClusterDir());
    std::filesystem::create_directories(*DefaultClusterDir());
  }
};

TEST_F(ControllerAddressTest, FlagThenCluster) {
  EXPECT_EQ(ResolveController({}).status().code(), absl::StatusCode::kUnavailable);
  ASSERT_TRUE(
      WriteClusterFile(*DefaultClusterDir(), {.controller = "127.0.0.1:1", .boot_id = BootId()})
          .ok());
  EXPECT_EQ(ResolveController({})->address, "127.0.0.1:1");
  EXPECT_EQ(ResolveController({.address = "[::1]:3"})->address, "[::1]:3");
}

TEST_F(ControllerAddressTest, AClusterThatStillStartsHasNoAddress) {
  ASSERT_TRUE(WriteClusterFile(*DefaultClusterDir(), {.boot_id = BootId()}).ok());
  EXPECT_EQ(ResolveController({}).status().code(), absl::StatusCode::kUnavailable);
}

// A secret is shown to the controller that it belongs to and to nobody else.
TEST_F(ControllerAddressTest, TheSecretOfTheClusterIsForItsController) {
  const std::string dir = *DefaultClusterDir();
  ASSERT_TRUE(WriteClusterFile(dir, {.controller = "127.0.0.1:1", .boot_id = BootId()}).ok());
  EXPECT_EQ(ResolveController({})->credentials.secret, nullptr) << "a cluster without one";
  std::filesystem::create_directories(dir + "/state");
  ASSERT_TRUE(MakeSecretIn(dir).ok());
  EXPECT_NE(ResolveController({})->credentials.secret, nullptr);
  EXPECT_NE(ResolveController({.address = "127.0.0.1:1"})->credentials.secret, nullptr);
  EXPECT_EQ(ResolveController({.address = "127.0.0.1:2"})->credentials.secret, nullptr);
  std::filesystem::permissions(SecretFileIn(dir), std::filesystem::perms::all);
  EXPECT_EQ(ResolveController({}).status().code(), absl::StatusCode::kPermissionDenied);
}

// Of the same user, wherever the cluster's folder is.
TEST_F(ControllerAddressTest, TheSecretIsFoundByTheAddressAlone) {
  const std::string dir = *DefaultClusterDir() + "-elsewhere";
  std::filesystem::create_directories(dir + "/state");
  ASSERT_TRUE(WriteClusterFile(dir, {.controller = "127.0.0.1:3", .boot_id = BootId()}).ok());
  ASSERT_TRUE(MakeSecretIn(dir).ok());
  EXPECT_EQ(ResolveController({.address = "127.0.0.1:3"})->credentials.secret, nullptr);
  ASSERT_TRUE(RememberCluster("127.0.0.1:3", dir).ok());
  ASSERT_TRUE(RememberCluster("127.0.0.1:3", dir).ok()) << "again";
  EXPECT_NE(ResolveController({.address = "127.0.0.1:3"})->credentials.secret, nullptr);
  EXPECT_EQ(ResolveController({.address = "127.0.0.1:4"})->credentials.secret, nullptr);
  ASSERT_TRUE(RemoveClusterFile(dir).ok());
  EXPECT_EQ(FindClusterOf("127.0.0.1:3").status().code(), absl::StatusCode::kNotFound);
  // Another cluster has this port by now.
  ASSERT_TRUE(RememberCluster("127.0.0.1:3", dir).ok());
  ASSERT_TRUE(WriteClusterFile(dir, {.controller = "127.0.0.1:5", .boot_id = BootId()}).ok());
  EXPECT_EQ(FindClusterOf("127.0.0.1:3").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ControllerAddressTest, ASecretFileIsNamedByTheFlag) {
  std::filesystem::create_directories(*DefaultClusterDir() + "/state");
  ASSERT_TRUE(MakeSecretIn(*DefaultClusterDir()).ok());
  const std::string file = SecretFileIn(*DefaultClusterDir());
  const ControllerFlags flags = {.address = "127.0.0.1:2", .secret_file = file};
  EXPECT_NE(ResolveController(flags)->credentials.secret, nullptr);
  const absl::Status missing =
      ResolveController({.address = "127.0.0.1:2", .secret_file = "/nowhere"}).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_NE(missing.message().find("--secret-file: /nowhere"), std::string::npos);
}

TEST_F(ControllerAddressTest, BadAddressesAreUsageErrors) {
  for (const char* bad :
       {"host", "::1:5", "a b:5", "host:", ":5", "host:0", "host:65536", "host:x", "host:5x"}) {
    const absl::Status status = ResolveController({.address = bad}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_NE(status.message().find("--controller"), std::string::npos);
  }
  // No name: a label is longer than 63 characters.
  const absl::Status nobody = ResolveController({.address = std::string(64, 'x') + ":1"}).status();
  EXPECT_EQ(nobody.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(nobody.message().find("' is not a host: "), std::string::npos) << nobody;
  setenv("WAFERSTREAM_CONTROLLER", "nonsense", 1);
  EXPECT_NE(ResolveController({}).status().message().find("WAFERSTREAM_CONTROLLER"),
            std::string::npos);
}

}  // namespace
}  // namespace waferstream
