#include "rpc/listen_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <string>

#include "base/tls_test_files.h"

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

TEST_F(CredentialsTest, WithoutCertificatesOnlyTheLoopbackIsOpen) {
  for (const char* loopback : {"127.0.0.1", "::1"}) {
    const auto terms = CheckListenFlags({.host = loopback}, "wafer");
    ASSERT_TRUE(terms.ok()) << terms.status();
    EXPECT_EQ(terms->credentials.secret, nullptr);
  }
  const TlsTestFiles made("listen");
  for (const char* wide : {"0.0.0.0", "::", "192.0.2.1"}) {
    for (const std::string& secret : {std::string(), path_}) {
      const absl::Status status =
          CheckListenFlags({.listen = wide, .secret_file = secret}, "wafer").status();
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << wide;
      EXPECT_THAT(std::string(status.message()), HasSubstr("--tls-ca, or say --insecure"));
      EXPECT_TRUE(
          CheckListenFlags({.listen = wide, .secret_file = secret, .insecure = true}, "wafer")
              .ok());
    }
    const auto terms = CheckListenFlags({.listen = wide, .tls = made.Issue("wafer")}, "wafer");
    ASSERT_TRUE(terms.ok()) << terms.status();
    EXPECT_NE(terms->credentials.tls, nullptr);
  }
  EXPECT_FALSE(CheckListenFlags({.host = "192.0.2.1"}, "wafer").ok()) << "by --host as well";
}

TEST_F(CredentialsTest, ACertificateIsOfTheProcesssRoleAndWhole) {
  const TlsTestFiles made("role");
  const TlsFiles files = made.Issue("memoryx");
  EXPECT_THAT(std::string(CheckListenFlags({.tls = files}, "wafer").status().message()),
              HasSubstr("is of role memoryx, and this process is wafer"));
  EXPECT_EQ(
      CheckListenFlags(
          {.tls = {.certificate = files.certificate, .key = files.key, .authority = ""}}, "memoryx")
          .status()
          .message(),
      "--tls-ca: is missing beside --tls-key");
  EXPECT_THAT(std::string(CheckListenFlags({.tls = {.certificate = files.certificate,
                                                    .key = "/nowhere",
                                                    .authority = files.authority}},
                                           "memoryx")
                              .status()
                              .message()),
              HasSubstr("--tls-cert: /nowhere"));
}

TEST_F(CredentialsTest, AFileThatIsNotOursAloneIsRefusedEvenIfInsecure) {
  chmod(path_.c_str(), 0644);
  const absl::Status status =
      CheckListenFlags({.secret_file = path_, .insecure = true}, "wafer").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("--secret-file: " + path_ + ": others can read or change it"));
  EXPECT_THAT(
      std::string(CheckListenFlags({.secret_file = "/nowhere"}, "wafer").status().message()),
      HasSubstr("--secret-file: /nowhere: "));
}

}  // namespace
}  // namespace waferstream
