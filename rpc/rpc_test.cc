// Channels and servers as every process makes them, on the loopback interface.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/host_port.h"
#include "proto/controller.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/server.h"
#include "rpc/status.h"

namespace waferstream {
namespace {

using ::testing::HasSubstr;

class VersionService final : public Controller::Service {
 public:
  grpc::Status Version(grpc::ServerContext*, const Empty*, VersionReply* reply) override {
    reply->set_version("here");
    return grpc::Status::OK;
  }
};

absl::Status CallVersion(const std::string& address) {
  auto stub = Controller::NewStub(OpenChannel(address, kUserToController, {}));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  VersionReply reply;
  return ToAbsl(stub->Version(&context, Empty(), &reply));
}

TEST(RpcTest, CallsReachALiteralOfEitherFamily) {
  VersionService service;
  for (const char* listen : {"127.0.0.1", "::1"}) {
    const absl::StatusOr<RunningServer> running = StartServer(service, {.listen = listen});
    ASSERT_TRUE(running.ok()) << running.status();
    EXPECT_EQ(CallVersion(JoinHostPort(listen, running->port)), absl::OkStatus());
  }
}

// On most hosts localhost stands for an address of each family; a channel finds who answers.
TEST(RpcTest, CallsReachAName) {
  VersionService service;
  const absl::StatusOr<RunningServer> running = StartServer(service, {});
  ASSERT_TRUE(running.ok()) << running.status();
  EXPECT_EQ(CallVersion(JoinHostPort("localhost", running->port)), absl::OkStatus());
}

// 127.0.0.1:9 is nobody: a call that went there would fail.
TEST(RpcTest, ProxiesOfTheEnvironmentAreNotUsed) {
  VersionService service;
  const absl::StatusOr<RunningServer> running = StartServer(service, {});
  ASSERT_TRUE(running.ok()) << running.status();
  for (const char* variable : {"grpc_proxy", "https_proxy", "http_proxy", "all_proxy", "GRPC_PROXY",
                               "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"}) {
    setenv(variable, "http://127.0.0.1:9", 1);
    for (const char* exempt : {"no_grpc_proxy", "no_proxy", "NO_PROXY"}) {
      setenv(exempt, "example.com", 1);
      EXPECT_EQ(CallVersion(absl::StrCat("127.0.0.1:", running->port)), absl::OkStatus())
          << variable << ", " << exempt;
      unsetenv(exempt);
    }
    EXPECT_EQ(CallVersion(absl::StrCat("localhost:", running->port)), absl::OkStatus()) << variable;
    unsetenv(variable);
  }
}

TEST(RpcTest, APortIsNeverShared) {
  VersionService service;
  const absl::StatusOr<RunningServer> running = StartServer(service, {});
  ASSERT_TRUE(running.ok()) << running.status();
  const absl::Status again = StartServer(service, {.port = running->port}).status();
  EXPECT_EQ(again.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(again.message()),
              HasSubstr(absl::StrCat("cannot listen on 127.0.0.1:", running->port)));
  // 192.0.2.1 is set aside for documentation: no host has it.
  EXPECT_THAT(std::string(StartServer(service, {.listen = "192.0.2.1"}).status().message()),
              HasSubstr("cannot listen on 192.0.2.1:0"));
}

TEST(RpcTest, TargetsAreWhatTheyLookLike) {
  EXPECT_EQ(TargetOf("127.0.0.1:80"), "ipv4:127.0.0.1:80");
  EXPECT_EQ(TargetOf("[::1]:80"), "ipv6:%5B::1%5D:80");
  EXPECT_EQ(TargetOf("[fe80::1%eth0]:80"), "ipv6:%5Bfe80::1%25eth0%5D:80");
  EXPECT_EQ(TargetOf("node-3:80"), "dns:///node-3:80");
  // These would be a socket file, and a machine, to gRPC.
  EXPECT_EQ(TargetOf("unix:80"), "dns:///unix:80");
  EXPECT_EQ(TargetOf("vsock:80"), "dns:///vsock:80");
}

TEST(RpcTest, NobodyThereIsUnavailable) {
  for (const char* address : {"127.0.0.1:1", "[::1]:1", "localhost:1", "nonsense", "unix:1"}) {
    EXPECT_EQ(CallVersion(address).code(), absl::StatusCode::kUnavailable) << address;
  }
}

}  // namespace
}  // namespace waferstream
