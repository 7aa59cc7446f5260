#include "rpc/listen_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <string>

namespace waferstream {
namespace {

using ::testing::HasSubstr;

TEST(ListenFlagsTest, WithoutFlagsItIsTheLoopback) { EXPECT_EQ(*ListenAddress({}), "127.0.0.1"); }

TEST(ListenFlagsTest, ANameIsResolved) {
  EXPECT_EQ(*ListenAddress({.host = "localhost"}), "127.0.0.1");
  EXPECT_EQ(*ListenAddress({.host = "::1"}), "::1");
}

TEST(ListenFlagsTest, ListenGoesBeforeHost) {
  EXPECT_EQ(*ListenAddress({.host = "10.0.0.1", .listen = "127.0.0.2"}), "127.0.0.2");
  // The name is for others: here it need not mean anything.
  EXPECT_EQ(*ListenAddress({.host = "pod-0.example.invalid", .listen = "0.0.0.0"}), "0.0.0.0");
  EXPECT_EQ(*ListenAddress({.listen = "::"}), "::");
}

TEST(ListenFlagsTest, AWildcardIsNoPlaceToBeReached) {
  for (const char* host : {"0.0.0.0", "::"}) {
    const absl::Status status = ListenAddress({.host = host}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("--listen " + std::string(host)));
  }
}

TEST(ListenFlagsTest, TheFlagIsNamed) {
  EXPECT_THAT(std::string(ListenAddress({.host = "a b"}).status().message()),
              HasSubstr("--host: 'a b' is not a host"));
  EXPECT_THAT(std::string(ListenAddress({.listen = "127.0.0.1:80"}).status().message()),
              HasSubstr("--listen: '127.0.0.1:80' is not a host"));
}

class CredentialsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::remove(path_.c_str());
    ASSERT_EQ(ClusterSecret::MakeFile(path_), absl::OkStatus());
  }

  const std::string path_ = ::testing::TempDir() + "/secret";
};

TEST_F(CredentialsTest, WithoutASecretOnlyTheLoopbackIsOpen) {
  for (const char* loopback : {"127.0.0.1", "::1"}) {
    const auto terms = CheckListenFlags({.host = loopback});
    ASSERT_TRUE(terms.ok()) << terms.status();
    EXPECT_EQ(terms->credentials.secret, nullptr);
  }
  for (const char* wide : {"0.0.0.0", "::", "192.0.2.1"}) {
    const absl::Status status = CheckListenFlags({.listen = wide}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << wide;
    EXPECT_THAT(std::string(status.message()), HasSubstr("--secret-file, or say --insecure"));
    EXPECT_TRUE(CheckListenFlags({.listen = wide, .insecure = true}).ok()) << wide;
    EXPECT_NE(CheckListenFlags({.listen = wide, .secret_file = path_})->credentials.secret,
              nullptr);
  }
  EXPECT_FALSE(CheckListenFlags({.host = "192.0.2.1"}).ok()) << "by --host as well";
}

TEST_F(CredentialsTest, AFileThatIsNotOursAloneIsRefusedEvenIfInsecure) {
  chmod(path_.c_str(), 0644);
  const absl::Status status = CheckListenFlags({.secret_file = path_, .insecure = true}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("--secret-file: " + path_ + ": others can read or change it"));
  EXPECT_THAT(std::string(CheckListenFlags({.secret_file = "/nowhere"}).status().message()),
              HasSubstr("--secret-file: /nowhere: "));
}

}  // namespace
}  // namespace waferstream
