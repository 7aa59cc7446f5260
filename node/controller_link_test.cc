#include "node/controller_link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <optional>

#include "absl/synchronization/notification.h"
#include "base/asio_loop.h"
#include "node/fake_controller.h"
#include "node/grpc_controller_calls.h"

namespace waferstream {
namespace {

using ::testing::HasSubstr;

RegisterRequest Me() {
  RegisterRequest me;
  me.set_node_id("w0");
  me.set_role(WAFER);
  me.set_incarnation(9);
  return me;
}

NodeReport SomeReport(uint64_t sequence) {
  NodeReport report;
  report.set_job_id("job");
  report.set_epoch(1);
  report.set_sequence(sequence);
  return report;
}

// A link on a loop of its own, to a real gRPC server.
class RunningLink {
 public:
  RunningLink(const ControllerLinkOptions& options, ControllerLink::Lost lost)
      : calls_(loop_, options.address, Credentials()),
        link_(
            loop_, calls_, options, [](LogLevel, const std::string&) {}, std::move(lost)) {}
  ~RunningLink() { loop_.Drain(); }  // from then on nothing uses the calls

  void Start(const RegisterRequest& me) {
    loop_.Post([this, me] { link_.Start(me); });
  }
  void Leave(absl::Duration grace, ControllerLink::Left left) {
    loop_.Post([this, grace, left = std::move(left)] { link_.Leave(grace, left); });
  }
  void Report(const NodeReport& report) {
    loop_.Call([&] {
      link_.Report(report);
      return true;
    });
  }

 private:
  AsioLoop loop_;
  GrpcControllerCalls calls_;
  ControllerLink link_;
};

class ControllerLinkTest : public ::testing::Test {
 protected:
  std::unique_ptr<RunningLink> Link(absl::Duration patience = absl::Seconds(20),
                                    int reports_max = 100) {
    return std::make_unique<RunningLink>(ControllerLinkOptions{.node_id = "w0",
                                                               .address = controller_.address(),
                                                               .patience = patience,
                                                               .reports_max = reports_max},
                                         [this](const absl::Status& why) {
                                           why_lost_ = why;
                                           lost_.Notify();
                                         });
  }

  FakeController controller_;
  absl::Notification lost_;
  absl::Status why_lost_;  // once lost_
};

TEST_F(ControllerLinkTest, RegistersAndKeepsTheLease) {
  controller_.Serve();
  auto link = Link();
  link->Start(Me());
  EXPECT_TRUE(controller_.WaitFor([&] { return controller_.heartbeats >= 3; }));
  EXPECT_EQ(controller_.registered.at(0).node_id(), "w0");
  EXPECT_EQ(controller_.registered.size(), 1u);
}

TEST_F(ControllerLinkTest, SaysWhatIsHeldAtEveryBeat) {
  controller_.Serve();
  std::atomic<uint32_t> epoch{7};
  RunningLink link({.node_id = "w0",
                    .address = controller_.address(),
                    .holds =
                        [&] {
                          EpochRef held;
                          held.set_epoch(epoch);
                          return held;
                        }},
                   [](const absl::Status&) {});
  link.Start(Me());
  EXPECT_TRUE(controller_.WaitFor([&] { return controller_.held_epoch == 7; }));
  EXPECT_EQ(controller_.registered.at(0).holds().epoch(), 7u);
  epoch = 8;
  EXPECT_TRUE(controller_.WaitFor([&] { return controller_.held_epoch == 8; }));
}

TEST_F(ControllerLinkTest, RegistersAgainWhenItIsNotKnown) {
  controller_.Serve();
  auto link = Link();
  link->Start(Me());
  EXPECT_TRUE(controller_.WaitFor([&] { return controller_.heartbeats >= 1; }));
  {
    absl::MutexLock lock(&controller_.mutex);
    controller_.forget = true;
  }
  EXPECT_TRUE(controller_.WaitFor([&] { return controller_.registered.size() == 2; }));
  EXPECT_EQ(controller_.registered[1].incarnation(), 9u);
}

TEST_F(ControllerLinkTest, WaitsForAControllerThatStartsLater) {
  controller_.Serve();
  const int port = controller_.port();
  controller_.StopServing();
  auto link = Link();
  link->Start(Me());
  link->Report(SomeReport(0));
  controller_.Serve(port);
  EXPECT_TRUE(controller_.WaitFor([&] { return !controller_.attempts.empty(); }));
  EXPECT_FALSE(lost_.HasBeenNotified());
}

TEST_F(ControllerLinkTest, ReportsArriveInOrderEachUntilItIsTaken) {
  controller_.answer_reports = {grpc::Status::OK,
                                {grpc::UNAVAILABLE, "restarting"},
                                {grpc::NOT_FOUND, "register again"},
                                {grpc::CANCELLED, "stopping"},
                                grpc::Status::OK,
                                {grpc::INVALID_ARGUMENT, "nonsense"}};
  controller_.Serve();
  auto link = Link();
  link->Start(Me());
  for (uint64_t i = 0; i < 4; ++i) link->Report(SomeReport(i));
  ASSERT_TRUE(controller_.WaitFor([&] { return controller_.attempts.size() == 7; }));
  std::vector<uint64_t> sequences;
  for (const NodeReport& report : controller_.attempts) sequences.push_back(report.sequence());
  EXPECT_THAT(sequences, ::testing::ElementsAre(0, 1, 1, 1, 1, 2, 3));
  EXPECT_EQ(controller_.attempts[0].node_id(), "w0");
}

TEST_F(ControllerLinkTest, ARefusalIsFinalAndInTheControllersWords) {
  controller_.answer_register = {grpc::FAILED_PRECONDITION, "protocol version 1, want 2"};
  controller_.Serve();
  auto link = Link();
  link->Start(Me());
  lost_.WaitForNotification();
  EXPECT_EQ(why_lost_.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(why_lost_.message(), "protocol version 1, want 2");
}

TEST_F(ControllerLinkTest, ASilentControllerIsLostAfterPatience) {
  controller_.Serve();
  auto link = Link(/*patience=*/absl::Milliseconds(300));
  link->Start(Me());
  EXPECT_TRUE(controller_.WaitFor([&] { return controller_.heartbeats >= 1; }));
  controller_.StopServing();
  lost_.WaitForNotification();
  EXPECT_EQ(why_lost_.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(why_lost_.message()), HasSubstr("for 300ms"));
}

TEST_F(ControllerLinkTest, ReportsDoNotPileUpWithoutBound) {
  controller_.Serve();
  auto link = Link(absl::Seconds(20), /*reports_max=*/3);
  for (uint64_t i = 0; i < 3; ++i) link->Report(SomeReport(i));
  EXPECT_FALSE(lost_.HasBeenNotified());
  link->Report(SomeReport(3));
  EXPECT_TRUE(lost_.HasBeenNotified());
  EXPECT_EQ(why_lost_.message(), "3 reports wait for the controller");
}

class LeavingTest : public ControllerLinkTest {
 protected:
  LeavingTest() { controller_.Serve(); }

  std::unique_ptr<RunningLink> Link(absl::Duration leave_patience = absl::Seconds(20)) {
    return std::make_unique<RunningLink>(
        ControllerLinkOptions{
            .node_id = "w0",
            .address = controller_.address(),
            .leave_patience = leave_patience,
            .holds = [this] { return holds_ ? std::optional(Held()) : std::nullopt; }},
        [this](const absl::Status& why) {
          why_lost_ = why;
          lost_.Notify();
        });
  }
  void Leave(RunningLink& link, absl::Duration grace = absl::Minutes(10)) {
    link.Leave(grace, [this](const absl::Status& how) {
      how_left_ = how;
      left_.Notify();
    });
  }
  void AwaitBeats() {
    const int before = [&] {
      absl::MutexLock lock(&controller_.mutex);
      return controller_.heartbeats;
    }();
    EXPECT_TRUE(controller_.WaitFor([&] { return controller_.heartbeats >= before + 3; }));
  }
  void MayGo(bool may) {
    absl::MutexLock lock(&controller_.mutex);
    controller_.may_go = may;
  }
  static EpochRef Held() {
    EpochRef held;
    held.set_job_id("job-7");
    held.set_epoch(3);
    return held;
  }

  std::atomic<bool> holds_{false};
  absl::Notification left_;
  absl::Status how_left_;  // once left_
};

TEST_F(LeavingTest, SaysSoAtEveryBeatUntilItMayGo) {
  MayGo(false);
  auto link = Link();
  link->Start(Me());
  AwaitBeats();
  EXPECT_FALSE(controller_.registered.at(0).leaving());
  Leave(*link);
  EXPECT_TRUE(controller_.WaitFor([&] { return controller_.leaving; }));
  {
    absl::MutexLock lock(&controller_.mutex);
    controller_.forget = true;
  }
  EXPECT_TRUE(controller_.WaitFor([&] { return controller_.registered.size() == 2; }));
  EXPECT_TRUE(controller_.registered[1].leaving());
  EXPECT_FALSE(left_.HasBeenNotified());
  MayGo(true);
  left_.WaitForNotification();
  EXPECT_TRUE(how_left_.ok()) << how_left_;
}

// A call that comes late leaves behind what the controller has yet to hear of.
TEST_F(LeavingTest, WhoHoldsSomethingStaysWhateverTheControllerThinks) {
  holds_ = true;
  auto link = Link();
  link->Start(Me());
  Leave(*link);
  EXPECT_TRUE(controller_.WaitFor([&] { return controller_.leaving; }));
  AwaitBeats();
  EXPECT_FALSE(left_.HasBeenNotified());
  holds_ = false;
  left_.WaitForNotification();
  EXPECT_TRUE(how_left_.ok()) << how_left_;
}

TEST_F(LeavingTest, ASilentControllerKeepsNobodyWhoHoldsNothing) {
  auto link = Link();
  link->Start(Me());
  AwaitBeats();
  controller_.StopServing();
  Leave(*link);
  left_.WaitForNotification();
  EXPECT_TRUE(how_left_.ok()) << how_left_;
}

TEST_F(LeavingTest, ASilentControllerKeepsOthersForAWhile) {
  holds_ = true;
  auto link = Link(/*leave_patience=*/absl::Milliseconds(300));
  link->Start(Me());
  AwaitBeats();
  controller_.StopServing();
  Leave(*link);
  lost_.WaitForNotification();
  EXPECT_EQ(why_lost_.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(why_lost_.message()), HasSubstr("for 300ms"));
  EXPECT_FALSE(left_.HasBeenNotified());
}

TEST_F(LeavingTest, TheEndOfTheGraceSaysWhatIsLost) {
  holds_ = true;
  auto link = Link();
  link->Start(Me());
  AwaitBeats();
  Leave(*link, absl::Milliseconds(100));
  left_.WaitForNotification();
  EXPECT_EQ(how_left_.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(how_left_.message(),
            "the grace period of 100ms is over: this node ends, and what it holds of job-7 is lost "
            "with it");
}

TEST_F(LeavingTest, WhoHasNotBegunMayGo) {
  MayGo(false);
  auto link = Link();
  Leave(*link);
  left_.WaitForNotification();
  EXPECT_TRUE(how_left_.ok()) << how_left_;
}

}  // namespace
}  // namespace waferstream
