#include "controller/node_table.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

RegisterRequest Request(const std::string& id, Role role, const std::string& isa = "",
                        uint64_t incarnation = 1) {
  RegisterRequest request;
  request.set_node_id(id);
  request.set_role(role);
  request.set_host("10.0.0.1");
  request.set_control_port(4000);
  request.set_fabric_port(4001);
  request.set_kernel_isa(isa);
  request.set_incarnation(incarnation);
  return request;
}

TEST(NodeTable, ALeaseEndsUnlessTheNodeIsHeardOf) {
  NodeTable table(3, {});
  ASSERT_TRUE(table.Register(Request("a", WAFER), 10).ok());
  ASSERT_TRUE(table.Register(Request("b", WAFER), 10).ok());
  EXPECT_EQ(table.NextExpiry(), 13);
  EXPECT_TRUE(table.Heard("a", 1, 12).ok());
  EXPECT_THAT(table.Expire(12.9), IsEmpty());
  EXPECT_THAT(table.Expire(13), ElementsAre("b"));
  EXPECT_THAT(table.Expire(13), IsEmpty());  // said once
  EXPECT_EQ(table.NextExpiry(), 15);
  EXPECT_TRUE(absl::IsNotFound(table.Heard("b", 1, 13)));
  EXPECT_EQ(table.List(14).nodes(1).state(), LOST);
  EXPECT_EQ(table.List(14).nodes(0).seconds_since_heard(), 2);
  EXPECT_FALSE(*table.Register(Request("b", WAFER), 14));  // the same process is back
  EXPECT_EQ(table.List(14).nodes(1).state(), IDLE);
}

TEST(NodeTable, ForgetsNodesThatAreLongLost) {
  NodeTable table(3, {});
  ASSERT_TRUE(table.Register(Request("a", WAFER), 10).ok());
  EXPECT_THAT(table.Expire(13), ElementsAre("a"));
  ASSERT_TRUE(table.NextExpiry().has_value());
  table.Expire(*table.NextExpiry());
  EXPECT_EQ(table.List(0).nodes_size(), 0);
  EXPECT_FALSE(table.NextExpiry().has_value());
}

TEST(NodeTable, AnotherIncarnationIsAnotherProcess) {
  NodeTable table(3, {});
  EXPECT_FALSE(*table.Register(Request("a", WAFER), 10));
  EXPECT_FALSE(*table.Register(Request("a", WAFER), 10));
  table.Find("a")->calls_in_flight = 2;
  EXPECT_TRUE(*table.Register(Request("a", WAFER, "", 2), 11));
  EXPECT_EQ(table.Find("a")->calls_in_flight, 0);
  EXPECT_TRUE(absl::IsNotFound(table.Heard("a", 1, 11)));  // the old one's last words
  EXPECT_TRUE(table.Heard("a", 2, 11).ok());
}

TEST(NodeTable, RefusesRegistrationsThatCannotBeUsed) {
  NodeTable table(3, {});
  EXPECT_THAT(table.Register(Request("", WAFER), 0).status().message(), HasSubstr("node_id"));
  EXPECT_THAT(table.Register(Request("a", static_cast<Role>(7)), 0).status().message(),
              HasSubstr("node a: role 7"));
  RegisterRequest no_port = Request("a", WAFER);
  no_port.set_fabric_port(0);
  EXPECT_THAT(table.Register(no_port, 0).status().message(), HasSubstr("fabric_port"));
  // Names become parts of paths and lines, ports are 16 bits (base/user_input has the kinds).
  for (const char* id : {"a/b", "..", "a\nb", "\x1b[2J"}) {
    EXPECT_THAT(table.Register(Request(id, WAFER), 0).status().message(), HasSubstr("node_id: "));
  }
  RegisterRequest large_port = Request("a", WAFER);
  large_port.set_control_port(65536);
  EXPECT_THAT(table.Register(large_port, 0).status().message(), HasSubstr("control_port: 65536"));
  RegisterRequest bad_host = Request("a", WAFER);
  bad_host.set_host("h/x");
  EXPECT_THAT(table.Register(bad_host, 0).status().message(), HasSubstr("host: \"h/x\""));
  EXPECT_EQ(table.List(0).nodes_size(), 0);
}

TEST(NodeTable, ANodeOfAnEarlierControllerIsReleasedBeforeItIsFree) {
  EpochRef leftover;
  leftover.set_job_id("j-000001");
  NodeTable table(3, {.leftovers = {leftover}, .members = {}, .cordons = {}});
  ASSERT_TRUE(table.Register(Request("a", WAFER), 0).ok());
  EXPECT_FALSE(table.Find("a")->free());
  ASSERT_EQ(table.Find("a")->release.size(), 1u);
  EXPECT_EQ(table.List(0).nodes(0).state(), BUSY);
}

TEST(NodeTable, AMemberOfALiveJobIsItsAgainInTheSameIncarnationOnly) {
  EpochRef leftover;
  leftover.set_job_id("j-000001");
  const NodeMemory memory{.leftovers = {leftover},
                          .members = {{"a", {"j-000001", 7}}, {"b", {"j-000001", 7}}},
                          .cordons = {{"a", {"a", true, true, "why"}}}};
  NodeTable table(3, memory);
  ASSERT_TRUE(table.Register(Request("a", WAFER, "", 7), 0).ok());
  ASSERT_TRUE(table.Register(Request("b", WAFER, "", 8), 0).ok());
  EXPECT_EQ(table.Find("a")->job_id, "j-000001");
  EXPECT_THAT(table.Find("a")->release, IsEmpty());
  EXPECT_TRUE(table.List(0).nodes(0).draining());
  EXPECT_EQ(table.List(0).nodes(0).note(), "why");
  EXPECT_EQ(table.Find("b")->job_id, "");
  EXPECT_EQ(table.Find("b")->release.size(), 1u);
}

TEST(NodeTable, AMemberThatComesBackAfterItsJobHasEndedIsReleased) {
  EpochRef epoch;
  epoch.set_job_id("j-000001");
  NodeTable table(3, {.leftovers = {epoch}, .members = {{"a", {"j-000001", 7}}}, .cordons = {}});
  table.EndJob("j-000001");
  ASSERT_TRUE(table.Register(Request("a", WAFER, "", 7), 0).ok());
  EXPECT_EQ(table.Find("a")->job_id, "");
  EXPECT_EQ(table.Find("a")->release.size(), 1u);
}

TEST(NodeTable, ACordonOutlivesTheNode) {
  NodeTable table(3, {});
  EXPECT_TRUE(table.SetCordon({"a", true, false, ""}).ok());
  ASSERT_TRUE(table.Register(Request("a", WAFER), 0).ok());
  EXPECT_FALSE(table.Find("a")->free());
  EXPECT_TRUE(table.SetCordon({"a", false, false, ""}).ok());
  EXPECT_TRUE(table.Find("a")->free());
}

TEST(NodeTable, WhoWasNotHeardOfBecauseTheControllerWasAwayIsExcused) {
  NodeTable table(3, {});
  ASSERT_TRUE(table.Register(Request("a", WAFER), 10).ok());
  table.Excuse(60);
  EXPECT_THAT(table.Expire(72.9), IsEmpty());
  EXPECT_THAT(table.Expire(73), ElementsAre("a"));
}

}  // namespace
}  // namespace waferstream
