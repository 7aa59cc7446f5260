// The host on a loop and lanes that move only when they are told.
#include "controller/controller_host.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/version.h"
#include "controller/manual_world.h"

namespace waferstream {
namespace {

class ControllerHostTest : public testing::Test {
 protected:
  void SetUp() override {
    world_.lanes.held = true;
    ASSERT_EQ(host_.Restore(), absl::OkStatus());
    RegisterRequest wafer;
    wafer.set_node_id("w0");
    wafer.set_role(WAFER);
    wafer.set_host("h");
    wafer.set_control_port(1);
    wafer.set_fabric_port(2);
    wafer.set_protocol_version(NewestProtocol());
    wafer.set_kernel_isa("avx2");
    wafer.set_incarnation(1);
    absl::Status registered = absl::UnknownError("not answered");
    host_.Register(
        wafer, [&](const absl::StatusOr<RegisterReply>& reply) { registered = reply.status(); });
    loop_.Pass(0);
    ASSERT_EQ(registered, absl::OkStatus());
  }

  std::optional<absl::Status>& Cordon(CordonRequest::Action action) {
    CordonRequest request;
    request.set_node_id("w0");
    request.set_action(action);
    auto& answer = answers_.emplace_back();
    host_.Cordon(request,
                 [&answer](const absl::StatusOr<NodeStatus>& node) { answer = node.status(); });
    loop_.Pass(0);
    return answer;
  }

  std::vector<CordonRecord> OnRecord() { return *world_.store->LoadCordons(); }

  ManualWorld world_;
  ManualLoop& loop_ = world_.loop;
  ManualLanes& lanes_ = world_.lanes;
  ControllerHost host_{
      world_.world(),
      ControllerHost::Options{.state_dir = "/state", .store_patience = absl::Seconds(10)}};
  std::deque<std::optional<absl::Status>> answers_;
};

TEST_F(ControllerHostTest, WhoChangesSomethingIsAnsweredOnceItIsOnRecord) {
  const auto& cordoned = Cordon(CordonRequest::CORDON);
  EXPECT_FALSE(cordoned.has_value());
  EXPECT_TRUE(OnRecord().empty());
  lanes_.RunOne();
  EXPECT_EQ(OnRecord().size(), 1u);
  loop_.Pass(0);
  EXPECT_EQ(cordoned, absl::OkStatus());
}

// Asked again it is so already, but not on record yet.
TEST_F(ControllerHostTest, WhoAsksForWhatIsBeingWrittenWaitsForIt) {
  const auto& first = Cordon(CordonRequest::CORDON);
  const auto& second = Cordon(CordonRequest::CORDON);
  EXPECT_FALSE(second.has_value());
  EXPECT_EQ(lanes_.waiting(), 1u);  // nothing more to write
  lanes_.RunOne();
  loop_.Pass(0);
  EXPECT_EQ(first, absl::OkStatus());
  EXPECT_EQ(second, absl::OkStatus());
  EXPECT_EQ(Cordon(CordonRequest::CORDON), absl::OkStatus());  // at once
}

TEST_F(ControllerHostTest, ADiskThatRefusesIsAskedAgainHoweverLongThatTakes) {
  world_.disk = absl::UnavailableError("full");
  const auto& cordoned = Cordon(CordonRequest::DRAIN);
  for (int i = 0; i < 100; ++i) {  // 20 s, twice the patience
    ASSERT_EQ(lanes_.waiting(), 1u);
    lanes_.RunOne();
    loop_.Pass(0.2);
  }
  EXPECT_FALSE(cordoned.has_value());
  world_.disk = absl::OkStatus();
  lanes_.RunOne();
  loop_.Pass(0);
  EXPECT_EQ(cordoned, absl::OkStatus());
  ASSERT_EQ(OnRecord().size(), 1u);
  EXPECT_TRUE(OnRecord()[0].draining);
}

TEST_F(ControllerHostTest, RecordsAreWrittenInTheOrderOfEvents) {
  Cordon(CordonRequest::CORDON);
  const auto& uncordoned = Cordon(CordonRequest::UNCORDON);
  EXPECT_EQ(lanes_.waiting(), 1u);  // one at a time
  lanes_.RunOne();
  loop_.Pass(0);
  EXPECT_EQ(OnRecord().size(), 1u);
  EXPECT_FALSE(uncordoned.has_value());
  lanes_.RunOne();
  loop_.Pass(0);
  EXPECT_TRUE(OnRecord().empty());
  EXPECT_EQ(uncordoned, absl::OkStatus());
}

TEST_F(ControllerHostTest, StopWaitsForWhatIsBeingWrittenAndNotForADiskThatRefuses) {
  world_.disk = absl::UnavailableError("full");
  const auto& cordoned = Cordon(CordonRequest::CORDON);
  lanes_.RunOne();
  bool written = false;
  host_.Stop([&] { written = true; });
  loop_.Pass(0.2);
  EXPECT_FALSE(written);
  lanes_.RunOne();
  loop_.Pass(0);
  EXPECT_TRUE(written);
  EXPECT_EQ(cordoned, world_.disk);  // whoever asked knows
}

}  // namespace
}  // namespace waferstream
