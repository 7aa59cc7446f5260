#include "controller/node_table.h"

#include "controller/placement.h"
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
  EXPECT_EQ(table.List(0).nodes_size(), 0);
}

TEST(NodeTable, ANodeOfAnEarlierControllerIsReleasedBeforeItIsFree) {
  EpochRef leftover;
  leftover.set_job_id("j-000001");
  NodeTable table(3, {leftover});
  ASSERT_TRUE(table.Register(Request("a", WAFER), 0).ok());
  EXPECT_FALSE(table.Find("a")->free());
  ASSERT_EQ(table.Find("a")->release.size(), 1u);
  EXPECT_EQ(table.List(0).nodes(0).state(), BUSY);
}

class PlacementTest : public ::testing::Test {
 protected:
  void Add(const std::string& id, Role role, const std::string& isa = "") {
    ASSERT_TRUE(table_.Register(Request(id, role, isa), 0).ok());
  }
  std::string Placed(const ClusterShape& shape) {
    const auto placed = Place(shape, table_);
    if (!placed.ok()) return std::string(placed.status().message());
    std::string ids;
    for (const PlacedProcess& process : *placed) {
      ids += process.node_id + "=" + std::to_string(process.index) + " ";
    }
    return ids;
  }

  NodeTable table_{3, {}};
};

TEST_F(PlacementTest, TakesExactlyTheShapeInPlanOrder) {
  for (const char* id : {"w0", "w1", "w2"}) Add(id, WAFER, "avx2");
  for (const char* id : {"m0", "m1"}) Add(id, MEMORYX);
  for (const char* id : {"s0", "s1"}) Add(id, SWARMX);
  EXPECT_EQ(Placed({.wafers = 2, .memoryx = 1, .swarmx = 2}), "m0=0 s0=0 s1=1 w0=0 w1=1 ");
}

TEST_F(PlacementTest, UsesOnlyFreeNodes) {
  for (const char* id : {"w0", "w1", "w2", "w3"}) Add(id, WAFER, "avx2");
  Add("m0", MEMORYX);
  Add("s0", SWARMX);
  table_.Find("w0")->job_id = "j-000001";
  table_.Find("w1")->lost = true;
  table_.Find("w2")->release.emplace_back();
  EXPECT_EQ(Placed({.wafers = 1, .memoryx = 1, .swarmx = 1}), "m0=0 s0=0 w3=0 ");
  EXPECT_EQ(Placed({.wafers = 2, .memoryx = 1, .swarmx = 1}), "waiting for 1 more wafer node");
}

TEST_F(PlacementTest, WafersOfOneJobShareTheirInstructionSet) {
  Add("m0", MEMORYX);
  Add("s0", SWARMX);
  Add("w0", WAFER, "avx2");
  Add("w1", WAFER, "avx512");
  EXPECT_EQ(Placed({.wafers = 2, .memoryx = 1, .swarmx = 1}),
            "waiting for 1 more wafer node (all wafers of a job need the same kernel_isa)");
  Add("w2", WAFER, "avx512");
  EXPECT_EQ(Placed({.wafers = 2, .memoryx = 1, .swarmx = 1}), "m0=0 s0=0 w1=0 w2=1 ");
}

}  // namespace
}  // namespace waferstream
