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
  table.Find("a")->CallBegins();
  EXPECT_TRUE(*table.Register(Request("a", WAFER, "", 2), 11));
  EXPECT_TRUE(table.Find("a")->quiet());
  EXPECT_TRUE(absl::IsNotFound(table.Heard("a", 1, 11)));  // the old one's last words
  EXPECT_TRUE(table.Heard("a", 2, 11).ok());
}

// Two live processes with one id: the one that came last has it, and the other one is told once,
// instead of the two taking it from one another for ever.
TEST(NodeTable, AProcessThatWasReplacedIsRefusedWhileItsSuccessorLives) {
  NodeTable table(3, {});
  ASSERT_TRUE(table.Register(Request("a", WAFER, "", 1), 10).ok());
  ASSERT_TRUE(table.Register(Request("a", WAFER, "", 2), 11).ok());
  const absl::Status refused = table.Register(Request("a", WAFER, "", 1), 12).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(refused.message(), HasSubstr("node a: another process, at 10.0.0.1:4000"));
  EXPECT_TRUE(table.Heard("a", 2, 12).ok());
  EXPECT_TRUE(table.Register(Request("a", WAFER, "", 2), 12).ok());  // again, as after a silence
  ASSERT_TRUE(table.Register(Request("a", WAFER, "", 3), 13).ok());
  for (const uint64_t former : {1, 2}) {
    EXPECT_FALSE(table.Register(Request("a", WAFER, "", former), 13).ok()) << former;
  }
  // A successor that is lost no longer stands in the way.
  EXPECT_THAT(table.Expire(16), ElementsAre("a"));
  EXPECT_TRUE(table.Register(Request("a", WAFER, "", 1), 16).ok());
}

// It was on its way for longer than its process lived: this controller hears of it for the first
// time after its successor.
TEST(NodeTable, ARegistrationThatComesLateDoesNotBringBackThePast) {
  NodeTable table(3, {});
  ASSERT_TRUE(table.Register(Request("a", WAFER, "", 2), 10).ok());
  const absl::Status stale = table.Register(Request("a", WAFER, "", 1), 10).status();
  EXPECT_EQ(stale.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(table.Heard("a", 2, 11).ok());
  EXPECT_EQ(table.Find("a")->info.incarnation(), 2u);
}

// Lost, it may come back after a successor that is lost, too; then what was asked of it before is
// still on its way back.
TEST(NodeTable, CallsAreCountedOfTheProcessThatTheyWereMadeTo) {
  NodeTable table(3, {});
  ASSERT_TRUE(table.Register(Request("a", WAFER, "", 1), 0).ok());
  table.Find("a")->CallBegins();
  table.Find("a")->CallBegins();
  ASSERT_TRUE(table.Register(Request("a", WAFER, "", 2), 1).ok());
  KnownNode& node = *table.Find("a");
  EXPECT_TRUE(node.quiet());
  node.CallBegins();
  EXPECT_THAT(table.Expire(4), ElementsAre("a"));
  ASSERT_TRUE(*table.Register(Request("a", WAFER, "", 1), 4));
  EXPECT_FALSE(node.quiet());
  node.CallEnds(2);
  node.CallEnds(1);
  EXPECT_FALSE(node.quiet());
  node.CallEnds(1);
  EXPECT_TRUE(node.quiet());
  node.CallEnds(1);  // nobody made it
  EXPECT_TRUE(node.quiet());
  EXPECT_THAT(node.calls_in_flight, IsEmpty());
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

RegisterRequest Holding(RegisterRequest request, const std::string& job_id, uint32_t epoch) {
  request.mutable_holds()->set_job_id(job_id);
  request.mutable_holds()->set_epoch(epoch);
  return request;
}

// Whoever prepared it there: an earlier controller, or a call that was meant for another process.
TEST(NodeTable, WhatANodeHoldsIsReleasedBeforeItIsFree) {
  NodeTable table(3, {});
  ASSERT_TRUE(table.Register(Holding(Request("a", WAFER), "j-000001", 4), 0).ok());
  EXPECT_FALSE(table.Find("a")->free());
  ASSERT_EQ(table.Find("a")->release.size(), 1u);
  EXPECT_EQ(table.Find("a")->release[0].epoch(), 4u);
  EXPECT_EQ(table.List(0).nodes(0).state(), BUSY);
}

TEST(NodeTable, WhatANodeHoldsIsReleasedOnceAnEpoch) {
  NodeTable table(3, {});
  ASSERT_TRUE(table.Register(Request("a", WAFER), 0).ok());
  for (const uint32_t epoch : {4, 4, 3, 5, 5}) {
    table.Holds("a", Holding(Request("a", WAFER), "j-000001", epoch).holds());
  }
  EXPECT_EQ(table.Find("a")->release.size(), 2u);
  table.Holds("a", EpochRef());
  EXPECT_EQ(table.Find("a")->release.size(), 2u);
}

TEST(NodeTable, WhatANodeHoldsOfItsJobStays) {
  NodeTable table(3, {});
  ASSERT_TRUE(table.Register(Request("a", WAFER), 0).ok());
  table.Find("a")->job_id = "j-000001";
  table.Holds("a", Holding(Request("a", WAFER), "j-000001", 4).holds());
  EXPECT_THAT(table.Find("a")->release, IsEmpty());
}

TEST(NodeTable, AMemberOfALiveJobIsItsAgainInTheSameIncarnationOnly) {
  const NodeMemory memory{.members = {{"a", {"j-000001", 7}}, {"b", {"j-000001", 7}}},
                          .cordons = {{"a", {"a", true, true, "why"}}}};
  NodeTable table(3, memory);
  for (const char* id : {"a", "b"}) {
    const uint64_t incarnation = id[0] == 'a' ? 7 : 8;
    ASSERT_TRUE(
        table.Register(Holding(Request(id, WAFER, "", incarnation), "j-000001", 4), 0).ok());
  }
  EXPECT_EQ(table.Find("a")->job_id, "j-000001");
  EXPECT_THAT(table.Find("a")->release, IsEmpty());
  EXPECT_TRUE(table.List(0).nodes(0).draining());
  EXPECT_EQ(table.List(0).nodes(0).note(), "why");
  EXPECT_EQ(table.Find("b")->job_id, "");
  EXPECT_EQ(table.Find("b")->release.size(), 1u);
}

TEST(NodeTable, AMemberThatComesBackAfterItsJobHasEndedIsReleased) {
  NodeTable table(3, {.members = {{"a", {"j-000001", 7}}}, .cordons = {}});
  table.EndJob("j-000001");
  ASSERT_TRUE(table.Register(Holding(Request("a", WAFER, "", 7), "j-000001", 4), 0).ok());
  EXPECT_EQ(table.Find("a")->job_id, "");
  EXPECT_EQ(table.Find("a")->release.size(), 1u);
}

// Otherwise the timer would be due for ever, and every lease excused with it.
TEST(NodeTable, ALostNodeThatAJobStillWantsIsNoReasonToWakeUp) {
  NodeTable table(3, {});
  ASSERT_TRUE(table.Register(Request("a", MEMORYX), 0).ok());
  table.Find("a")->job_id = "j-000001";
  EXPECT_THAT(table.Expire(3), ElementsAre("a"));
  EXPECT_FALSE(table.NextExpiry().has_value());
  table.Find("a")->job_id.clear();
  EXPECT_TRUE(table.NextExpiry().has_value());
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
