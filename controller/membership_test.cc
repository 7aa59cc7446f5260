#include "controller/membership.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "plan/kernel_order.h"

namespace waferstream {
namespace {

// Nodes w*, m*, s* in a table, and what a job needs of them; membership as text.
class MembershipTest : public ::testing::Test {
 protected:
  MembershipTest() {
    cluster_.set_wafers(2);
    cluster_.set_memoryx(1);
    cluster_.set_swarmx(1);
    needs_.job_id = "j";
    needs_.cluster = &cluster_;
    needs_.holdings = &holdings_;
  }

  KnownNode& Add(const std::string& id, const std::string& isa = "avx2",
                 const std::string& job_id = "") {
    RegisterRequest request;
    request.set_node_id(id);
    request.set_role(id[0] == 'w' ? WAFER : id[0] == 'm' ? MEMORYX : SWARMX);
    request.set_host("10.0.0.1");
    request.set_control_port(4000);
    request.set_fabric_port(4001);
    request.set_kernel_isa(id[0] == 'w' ? isa : "");
    request.set_incarnation(1);
    EXPECT_TRUE(table_.Register(request, 0).ok());
    table_.Find(id)->job_id = job_id;
    return *table_.Find(id);
  }
  void AddMembers(const std::vector<std::string>& ids) {
    for (const std::string& id : ids) Add(id, "avx2", "j");
    needs_.begun = true;
  }

  std::string Chosen() {
    const auto next = ChooseMembers(needs_, table_);
    if (!next.ok()) return std::string(next.status().message());
    const auto id = [](std::string* out, const PlacedProcess& p) { out->append(p.node_id); };
    return absl::StrCat(next->keep ? "keep " : "load ", absl::StrJoin(next->placed, " ", id));
  }
  // "0,1 2,0+1": owners, and what fills after +, by shard.
  std::string Shards() {
    const auto shard = [](std::string* out, const ShardHolders& s) {
      absl::StrAppend(out, absl::StrJoin(s.owners, ","), s.filling.empty() ? "" : "+",
                      absl::StrJoin(s.filling, ","));
    };
    return absl::StrJoin(ChooseMembers(needs_, table_)->shape.shards, " ", shard);
  }

  NodeTable table_{3, {}};
  ClusterSpec cluster_;
  ShardMap holdings_;
  MemberNeeds needs_;
};

TEST_F(MembershipTest, ANewJobGetsExactlyWhatItAsksForOrWaits) {
  EXPECT_EQ(Chosen(),
            "waiting for 1 more MemoryX node and 1 more SwarmX node and 2 more wafer nodes");
  for (const char* id : {"m0", "m1", "s0", "s1", "w0", "w1", "w2"}) Add(id);
  EXPECT_EQ(Chosen(), "load m0 s0 w0 w1");
}

TEST_F(MembershipTest, WithBoundsItStartsWithWhatThereIs) {
  cluster_.set_wafers(8);
  cluster_.set_wafers_min(2);
  for (const char* id : {"m0", "s0", "w0"}) Add(id);
  EXPECT_EQ(Chosen(), "waiting for 1 more wafer node");
  for (const char* id : {"w1", "w2"}) Add(id);
  EXPECT_EQ(Chosen(), "load m0 s0 w0 w1 w2");
}

TEST_F(MembershipTest, UsesOnlyFreeNodes) {
  for (const char* id : {"m0", "s0", "w4", "w5"}) Add(id);
  Add("w0").job_id = "other";
  Add("w1").lost = true;
  Add("w2").release.emplace_back();
  Add("w3").cordoned = true;
  EXPECT_EQ(Chosen(), "load m0 s0 w4 w5");
}

TEST_F(MembershipTest, WafersOfOneJobShareTheirInstructionSet) {
  for (const char* id : {"m0", "s0", "w0"}) Add(id);
  Add("w1", "avx512");
  EXPECT_EQ(Chosen(),
            "waiting for 1 more wafer node (all wafers of a job need the same kernel_isa)");
  Add("w2", "avx512");
  EXPECT_EQ(Chosen(), "load m0 s0 w1 w2");
  needs_.kernel_isa = "avx2";
  needs_.begun = true;
  EXPECT_EQ(Chosen(), "load m0 s0 w0");
}

TEST_F(MembershipTest, WafersOfAPortableJobMayBeOfAnyKindThatHasFusedSums) {
  constexpr char kAvx2[] = "f32:avx2 bf16:avx2 simd:avx2";
  constexpr char kAmx[] = "f32:avx512 bf16:amx simd:avx512";
  constexpr char kOld[] = "f32:sse4 bf16:sse4 simd:sse4";
  needs_.kernel_isa = kPortableKernels;
  for (const char* id : {"m0", "s0"}) Add(id);
  Add("w0", kOld);
  EXPECT_EQ(Chosen(),
            "waiting for 2 more wafer nodes (training.kernels: portable needs AVX2 and FMA)");
  Add("w1", kOld);
  EXPECT_EQ(Chosen(),
            "training.kernels: portable needs AVX2 and FMA; the wafer nodes here compute with "
            "f32:sse4 bf16:sse4 simd:sse4");
  Add("w2", kAvx2);
  Add("w3", kAmx);
  EXPECT_EQ(Chosen(), "load m0 s0 w2 w3");
}

TEST_F(MembershipTest, AJobThatHasBegunGoesOnWithWhatIsLeftAndTakesFreeNodes) {
  AddMembers({"m0", "s0", "w0", "w1"});
  holdings_.Add("m0", 1, 0);
  table_.Find("w0")->lost = true;
  EXPECT_EQ(Chosen(), "keep m0 s0 w1");
  Add("w9");
  EXPECT_EQ(Chosen(), "keep m0 s0 w1 w9");
  cluster_.set_wafers_min(2);
  table_.Find("w9")->cordoned = true;
  EXPECT_EQ(Chosen(), "waiting for 1 more wafer node");
}

TEST_F(MembershipTest, DrainingNodesLeaveUnlessNobodyElseHasWhatTheyHold) {
  AddMembers({"m0", "s0", "w0", "w1"});
  holdings_.Add("m0", 1, 0);
  for (const char* id : {"m0", "w1"}) table_.Find(id)->draining = true;
  EXPECT_EQ(Chosen(), "keep m0 s0 w0");
  EXPECT_EQ(Shards(), "0");
  // Somebody else is filled first, beyond the number that the job asked for, if need be.
  Add("m1");
  Add("m2");
  EXPECT_EQ(Chosen(), "keep m0 m1 s0 w0");
  EXPECT_EQ(Shards(), "0+1");
  holdings_.Add("m1", 1, 0);
  table_.Find("m1")->job_id = "j";
  EXPECT_EQ(Chosen(), "keep m1 s0 w0");
}

TEST_F(MembershipTest, AJobCanDoWithoutWhatOthersHoldThatStay) {
  cluster_.set_memoryx(2);
  AddMembers({"m0", "m1", "s0", "w0"});
  for (int shard : {0, 1}) holdings_.Add("m0", 1, shard);
  holdings_.Add("m1", 1, 1);
  const auto can = [&](const char* id) {
    return CanDoWithout(table_.nodes().at(id), needs_, table_);
  };
  EXPECT_TRUE(can("w0"));
  EXPECT_FALSE(can("m0"));
  EXPECT_TRUE(can("m1"));
  table_.Find("m0")->info.set_leaving(true);
  EXPECT_FALSE(can("m1"));
}

TEST_F(MembershipTest, ExcludedWafersAreLeftOut) {
  AddMembers({"m0", "s0", "w0", "w1"});
  holdings_.Add("m0", 1, 0);
  needs_.excluded = {"w0", "m0"};
  EXPECT_EQ(Chosen(), "keep m0 s0 w1");
  needs_.excluded = {"s0"};
  EXPECT_EQ(Chosen(), "keep m0 s0 w0 w1");  // there is no other
}

TEST_F(MembershipTest, TheOtherOwnersStreamOnAndCopiesAreFilled) {
  cluster_.set_memoryx(3);
  cluster_.set_replicas(2);
  AddMembers({"m0", "m1", "m2", "s0", "w0"});
  for (int s = 0; s < 3; ++s) {
    holdings_.Add(absl::StrCat("m", s), 1, s);
    holdings_.Add(absl::StrCat("m", (s + 1) % 3), 1, s);
  }
  EXPECT_EQ(Chosen(), "keep m0 m1 m2 s0 w0");
  EXPECT_EQ(Shards(), "0,1 1,2 2,0");
  table_.Find("m1")->lost = true;
  EXPECT_EQ(Chosen(), "keep m0 m2 s0 w0");
  EXPECT_EQ(Shards(), "0+1 1+0 0,1");
  // It comes back as another process: what it held is gone, and it is filled.
  table_.Find("m1")->lost = false;
  table_.Find("m1")->info.set_incarnation(2);
  EXPECT_EQ(Chosen(), "keep m0 m2 m1 s0 w0");
  EXPECT_EQ(Shards(), "0+2 1+2 0,1");
}

TEST_F(MembershipTest, WithoutAHolderEverythingIsLoadedAfterAWhile) {
  cluster_.set_memoryx(2);
  AddMembers({"m0", "m1", "s0", "w0"});
  holdings_.Add("m0", 1, 0);
  holdings_.Add("m1", 1, 1);
  table_.Find("m1")->lost = true;
  needs_.may_load = false;
  EXPECT_EQ(Chosen(), "waiting for m1 with shard 1");
  needs_.may_load = true;
  EXPECT_EQ(Chosen(), "load m0 s0 w0");
  EXPECT_EQ(Shards(), "0 0");
  // When it is known to be gone, waiting is of no use.
  holdings_.DropNode("m1");
  needs_.may_load = false;
  EXPECT_EQ(Chosen(), "load m0 s0 w0");
}

TEST_F(MembershipTest, RotationGivesEveryWaferAnothersPlace) {
  AddMembers({"m0", "s0", "w0", "w1"});
  holdings_.Add("m0", 1, 0);
  needs_.rotation = 1;
  EXPECT_EQ(Chosen(), "keep m0 s0 w1 w0");
}

TEST_F(MembershipTest, BetterMeansOtherNodesOrMoreCopies) {
  AddMembers({"m0", "s0", "w0", "w1"});
  holdings_.Add("m0", 1, 0);
  const Membership now = *ChooseMembers(needs_, table_);
  EXPECT_FALSE(IsBetter(now, now));
  table_.Find("w1")->draining = true;
  EXPECT_TRUE(IsBetter(*ChooseMembers(needs_, table_), now));
}

}  // namespace
}  // namespace waferstream
