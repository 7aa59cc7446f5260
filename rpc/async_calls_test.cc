// Calls and what they leave behind, against a server on the loopback interface.
#include "rpc/async_calls.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "proto/controller.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/server.h"

namespace waferstream {
namespace {

using Methods = Controller::StubInterface::async_interface;

class VersionService final : public Controller::Service {
 public:
  grpc::Status Version(grpc::ServerContext*, const Empty*, VersionReply* reply) override {
    ++asked;
    reply->set_version("here");
    return answer;
  }
  std::atomic<int> asked = 0;
  grpc::Status answer;  // fixed while calls are made
};

class AsyncCallsTest : public ::testing::Test {
 protected:
  AsyncCallsTest() : running_(StartServer(service_, {})) {}

  std::shared_ptr<Controller::Stub> Stub() const {
    return Controller::NewStub(
        OpenChannel(absl::StrCat("127.0.0.1:", running_->port), kNodeToController, {}));
  }
  static void AskVersion(AsyncCalls& calls, std::shared_ptr<Controller::Stub> stub, int attempts,
                         AsyncCalls::Done<VersionReply> done) {
    calls.Make<Controller::Stub, Methods, Empty, VersionReply>(
        std::move(stub), &Methods::Version, Empty(),
        {.timeout = absl::Seconds(20), .attempts = attempts, .wait_for_ready = true},
        std::move(done));
  }

  VersionService service_;
  absl::StatusOr<RunningServer> running_;
};

TEST_F(AsyncCallsTest, AnAnswerArrives) {
  ASSERT_TRUE(running_.ok()) << running_.status();
  AsyncCalls calls;
  absl::Notification answered;
  std::string version;
  AskVersion(calls, Stub(), 1, [&](const absl::Status& status, VersionReply& reply) {
    EXPECT_EQ(status, absl::OkStatus());
    version = reply.version();
    answered.Notify();
  });
  answered.WaitForNotification();
  EXPECT_EQ(version, "here");
}

TEST_F(AsyncCallsTest, ABrokenCallIsMadeAsOftenAsItsTermsSay) {
  ASSERT_TRUE(running_.ok()) << running_.status();
  service_.answer = {grpc::UNAVAILABLE, "not yet"};
  AsyncCalls calls;
  absl::Notification answered;
  AskVersion(calls, Stub(), 3, [&](const absl::Status& status, VersionReply&) {
    EXPECT_EQ(status, absl::UnavailableError("not yet"));
    answered.Notify();
  });
  answered.WaitForNotification();
  EXPECT_EQ(service_.asked, 3);
}

TEST_F(AsyncCallsTest, AfterCancelAllACallIsAnsweredAtOnce) {
  ASSERT_TRUE(running_.ok()) << running_.status();
  AsyncCalls calls;
  calls.CancelAll();
  bool answered = false;
  AskVersion(calls, Stub(), 3, [&](const absl::Status& status, VersionReply&) {
    EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
    answered = true;
  });
  EXPECT_TRUE(answered);
  EXPECT_EQ(service_.asked, 0);
}

// The last channel of a process takes gRPC's threads with it, so it must not end on one of them, be
// the stub its caller's or the call's alone. At every moment of a call.
TEST_F(AsyncCallsTest, AClientEndsWithCallsInProgress) {
  ASSERT_TRUE(running_.ok()) << running_.status();
  for (const bool broken : {false, true}) {
    service_.answer = broken ? grpc::Status(grpc::UNAVAILABLE, "not yet") : grpc::Status::OK;
    for (int round = 0; round < 300; ++round) {
      std::atomic<int> answers = 0;
      constexpr int kCalls = 4;
      {
        std::shared_ptr<Controller::Stub> stub = Stub();
        AsyncCalls calls;
        for (int i = 0; i < kCalls; ++i) {
          AskVersion(calls, stub, 3, [&](const absl::Status&, VersionReply&) { ++answers; });
        }
        if (round % 2 == 0) stub = nullptr;
        while (answers < round % (kCalls + 1)) std::this_thread::yield();
      }
      ASSERT_EQ(answers, kCalls);
    }
  }
}

}  // namespace
}  // namespace waferstream
