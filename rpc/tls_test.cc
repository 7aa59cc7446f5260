// Calls under TLS: who may call what, and whom a caller believes.
#include "rpc/tls.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/fd.h"
#include "base/tls_test_files.h"
#include "proto/controller.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/doorkeeper.h"
#include "rpc/server.h"
#include "rpc/status.h"

namespace waferstream {
namespace {

using ::testing::HasSubstr;

Credentials Of(const TlsFiles& files) {
  return {.secret = nullptr, .tls = *TlsIdentity::Load(files)};
}

// Version is for users, Report for nodes.
class TestService final : public Controller::Service {
 public:
  explicit TestService(const Credentials& credentials)
      : door(credentials, Controller::service_full_name(),
             [this](const std::string& line) { refused.push_back(line); }) {}

  grpc::Status Version(grpc::ServerContext* context, const Empty*, VersionReply*) override {
    return door.Admit(*context, Caller::kUser);
  }
  grpc::Status Report(grpc::ServerContext* context, const NodeReport* report, Empty*) override {
    const grpc::Status admitted = door.Admit(*context, Caller::kNode);
    return admitted.ok() ? ToGrpc(door.CheckRole(*context, report->node_id())) : admitted;
  }

  Doorkeeper door;
  std::vector<std::string> refused;
};

class TlsTest : public ::testing::Test {
 protected:
  void Serve(const TlsFiles& files) {
    const Credentials credentials = Of(files);
    service_ = std::make_unique<TestService>(credentials);
    auto running = StartServer(*service_, {.door = &service_->door, .tls = credentials.tls});
    ASSERT_TRUE(running.ok()) << running.status();
    running_ = *std::move(running);
  }
  std::unique_ptr<Controller::Stub> Stub(const Credentials& credentials,
                                         const std::string& host = "127.0.0.1") {
    return Controller::NewStub(
        OpenChannel(absl::StrCat(host, ":", running_.port), kUserToController, credentials));
  }
  static void SetDeadline(grpc::ClientContext& context) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
  }
  absl::Status AskVersion(const Credentials& credentials, const std::string& host = "127.0.0.1") {
    grpc::ClientContext context;
    SetDeadline(context);
    VersionReply reply;
    return ToAbsl(Stub(credentials, host)->Version(&context, Empty(), &reply));
  }
  // As a node that says it is `claims`.
  absl::Status Report(const Credentials& credentials, const std::string& claims) {
    grpc::ClientContext context;
    SetDeadline(context);
    NodeReport report;
    report.set_node_id(claims);
    Empty reply;
    return ToAbsl(Stub(credentials)->Report(&context, report, &reply));
  }

  const TlsTestFiles made_{"rpc"};
  std::unique_ptr<TestService> service_;
  RunningServer running_;
};

TEST_F(TlsTest, EveryMethodIsForItsCallers) {
  Serve(made_.Issue("controller"));
  const Credentials user = Of(made_.Issue("user")), wafer = Of(made_.Issue("wafer"));
  EXPECT_EQ(AskVersion(user), absl::OkStatus());
  EXPECT_EQ(Report(wafer, "wafer"), absl::OkStatus());
  EXPECT_EQ(AskVersion(wafer).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(Report(user, "wafer").code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(AskVersion(Of(made_.Issue("controller"))).code(), absl::StatusCode::kPermissionDenied);
  ASSERT_FALSE(service_->refused.empty());
  EXPECT_THAT(service_->refused[0], HasSubstr("the caller's certificate is of role 'wafer'"));
}

TEST_F(TlsTest, ANodeIsOfTheRoleThatItsCertificateSays) {
  Serve(made_.Issue("controller"));
  const absl::Status posing = Report(Of(made_.Issue("wafer")), "memoryx");
  EXPECT_EQ(posing.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(posing.message()), HasSubstr("of role 'wafer', and claims memoryx"));
}

TEST_F(TlsTest, WithoutACertificateOfTheAuthorityNobodyIsHeard) {
  Serve(made_.Issue("controller"));
  const TlsTestFiles others("others");
  EXPECT_FALSE(AskVersion({}).ok()) << "in the clear";
  EXPECT_FALSE(AskVersion(Of(others.Issue("user"))).ok());
}

TEST_F(TlsTest, ACallerBelievesTheRightRoleAndHostAlone) {
  Serve(made_.Issue("wafer"));
  const Credentials user = Of(made_.Issue("user"));
  EXPECT_EQ(AskVersion(user).code(), absl::StatusCode::kUnavailable) << "a wafer is no controller";
  Serve(made_.Issue("controller", absl::Hours(1), {"elsewhere.example"}));
  EXPECT_EQ(AskVersion(user).code(), absl::StatusCode::kUnavailable) << "another host's";
  Serve(made_.Issue("controller"));
  EXPECT_EQ(AskVersion(user, "localhost"), absl::OkStatus());
}

TEST_F(TlsTest, NobodyBelievesWhoIsRevoked) {
  TlsFiles server = made_.Issue("controller");
  server.revoked = made_.Revoke({});
  Serve(server);
  const TlsFiles stolen = made_.Issue("user");
  EXPECT_EQ(AskVersion(Of(stolen)), absl::OkStatus());
  made_.Revoke({stolen.certificate});
  EXPECT_FALSE(AskVersion(Of(stolen)).ok());
  // Nor does a caller believe such a server.
  TlsFiles wary = made_.Issue("user");
  EXPECT_EQ(AskVersion(Of(wary)), absl::OkStatus());
  wary.revoked = made_.Revoke({server.certificate});
  EXPECT_FALSE(AskVersion(Of(wary)).ok());
}

// The port of a server that bounds what a connection costs.
class SilentPeer {
 public:
  explicit SilentPeer(uint16_t port) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(socket_.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
  bool connected() const { return connected_; }
  void Say(const std::string& bytes) {
    std::ignore = write(socket_.get(), bytes.data(), bytes.size());
  }
  // Waits until the server hangs up.
  bool IsHungUp() {
    char byte;
    while (recv(socket_.get(), &byte, 1, 0) > 0) {
    }
    return true;
  }

 private:
  const Fd socket_;
  bool connected_ = false;
};

TEST_F(TlsTest, WhoSaysNothingOrLittleIsHungUpOn) {
  Serve(made_.Issue("controller"));
  SilentPeer silent(running_.port), slow(running_.port);
  ASSERT_TRUE(silent.connected());
  ASSERT_TRUE(slow.connected());
  slow.Say("\x16");  // the first byte of a handshake
  EXPECT_TRUE(silent.IsHungUp());
  EXPECT_TRUE(slow.IsHungUp());
}

TEST(IsForTest, NamesAreComparedAsCertificatesDo) {
  EXPECT_TRUE(IsFor({"a.example", "10.0.0.1"}, "10.0.0.1"));
  EXPECT_TRUE(IsFor({"A.Example"}, "a.example"));
  EXPECT_TRUE(IsFor({"*.example"}, "a.example"));
  EXPECT_FALSE(IsFor({"*.example"}, "b.a.example"));
  EXPECT_FALSE(IsFor({"*.example"}, ".example"));
  EXPECT_FALSE(IsFor({"*.example"}, "example"));
  EXPECT_FALSE(IsFor({}, "a.example"));
}

}  // namespace
}  // namespace waferstream
