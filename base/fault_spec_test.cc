#include "base/fault_spec.h"

#include <gtest/gtest.h>

namespace waferstream {
namespace {

TEST(FaultSpec, ReadsEveryField) {
  const auto spec = ParseFaultSpec("memoryx@node-7:tile=3,what=dram,bit=1003,step=2");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->role, "memoryx");
  EXPECT_EQ(spec->node_id, "node-7");
  EXPECT_EQ(spec->what, FaultSpec::What::kDram);
  EXPECT_EQ(spec->tile, 3);
  EXPECT_EQ(spec->step, 2u);
  EXPECT_EQ(spec->bit, 1003u);
  EXPECT_TRUE(spec->IsFor("memoryx", "node-7"));
  EXPECT_FALSE(spec->IsFor("memoryx", "node-8"));
  EXPECT_FALSE(spec->IsFor("wafer", "node-7"));
}

TEST(FaultSpec, WithoutANodeMeansAllOfTheRole) {
  const auto spec = ParseFaultSpec("wafer:what=activation,tile=0,step=0,bit=0");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_TRUE(spec->IsFor("wafer", "any"));
}

TEST(FaultSpec, RefusesWhatItCannotRead) {
  for (const char* text :
       {"", "memoryx", "swarmx:what=dram,tile=1,step=1,bit=1",
        "memoryx:what=disk,tile=1,step=1,bit=1", "memoryx:what=dram,tile=1,bit=1",
        "memoryx:what=dram,tile=x,step=1,bit=1", "memoryx:what=dram,tile=1,step=1,bit=-1",
        "memoryx:what=dram,tile=1,step=1,bit=1,bat=1"}) {
    EXPECT_EQ(ParseFaultSpec(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace waferstream
