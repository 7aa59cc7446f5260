#include "base/host_port.h"

#include <gtest/gtest.h>

#include <string>

namespace waferstream {
namespace {

TEST(HostPortTest, SplitIsTheInverseOfJoin) {
  for (const char* host :
       {"127.0.0.1", "::1", "fe80::1%eth0", "localhost", "node-3.rack_1.example"}) {
    for (const int port : {1, 80, 65535}) {
      const absl::StatusOr<HostPort> split = SplitHostPort(JoinHostPort(host, port));
      ASSERT_TRUE(split.ok()) << split.status();
      EXPECT_EQ(split->host, host);
      EXPECT_EQ(split->port, port);
    }
  }
  EXPECT_EQ(JoinHostPort("::1", 80), "[::1]:80");
}

TEST(HostPortTest, WhatIsNotHostPortIsQuoted) {
  for (const char* bad :
       {"",           ":",         "nonsense", ":80",       "host:",   "host:0",
        "host:65536", "host:-1",   "host:+1",  "host: 1",   "host:1 ", "host:many",
        "::1:80",     "[::1]",     "[]:80",    "[host]:80", "a b:80",  "http://h:80",
        "a/b:80",     "host\n:80", "h?:80",    "h@x:80",    "[::1:80", "::1]:80"}) {
    const absl::Status status = SplitHostPort(bad).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_EQ(status.message(), "'" + std::string(bad) + "' is not host:port");
  }
}

TEST(HostPortTest, LiteralsResolveToThemselvesAndNamesToLiterals) {
  EXPECT_EQ(*ResolveHost("127.0.0.1"), "127.0.0.1");
  EXPECT_EQ(*ResolveHost("::1"), "::1");
  EXPECT_EQ(*ResolveHost("0.0.0.0"), "0.0.0.0");
  EXPECT_TRUE(IsLoopback(*ResolveHost("localhost")));
  for (const char* bad : {"", "a b", "no.such.host.invalid", "127.0.0.1:80:", "[::1]"}) {
    EXPECT_EQ(ResolveHost(bad).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST(HostPortTest, LoopbackAndWildcard) {
  for (const char* loopback : {"127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"}) {
    EXPECT_TRUE(IsLoopback(loopback)) << loopback;
    EXPECT_FALSE(IsWildcard(loopback)) << loopback;
  }
  for (const char* wildcard : {"0.0.0.0", "::", "::ffff:0.0.0.0"}) {
    EXPECT_TRUE(IsWildcard(wildcard)) << wildcard;
    EXPECT_FALSE(IsLoopback(wildcard)) << wildcard;
  }
  for (const char* other :
       {"10.0.0.1", "fe80::1%eth0", "2001:db8::1", "localhost", "", "128.0.0.1"}) {
    EXPECT_FALSE(IsLoopback(other)) << other;
    EXPECT_FALSE(IsWildcard(other)) << other;
  }
}

TEST(HostPortTest, AnAddressWhoseHostStandsForNothingIsNamedByItsField) {
  for (const char* good : {"127.0.0.1:1", "[::1]:1", "localhost:1"}) {
    EXPECT_TRUE(CheckHostOf("--controller", good).ok()) << good;
  }
  EXPECT_EQ(CheckHostOf("--controller", "a b:1").message(),
            "--controller: 'a b:1' is not host:port");
  // A label is 63 characters at the most, which is known without a name server.
  const std::string nobody(64, 'x');
  const std::string said(CheckHostOf("--controller", nobody + ":1").message());
  EXPECT_EQ(said.substr(0, said.rfind(':')), "--controller: '" + nobody + "' is not a host");
}

}  // namespace
}  // namespace waferstream
