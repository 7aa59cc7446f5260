#include "rpc/listen_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace waferstream
