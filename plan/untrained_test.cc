// What the plan makes of parameters that are not trained.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <utility>

#include "plan/plan_costs.h"
#include "plan/plan_report.h"
#include "plan/test_job.h"
#include "plan/test_untrained.h"

namespace waferstream {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Plan MustCompile(const JobSpec& job, const std::function<bool(size_t)>& trains) {
  auto plan = CompileUntrained(job, {.wafers = 2, .memoryx = 3, .swarmx = 1}, trains);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *std::move(plan);
}

class Untrained : public testing::TestWithParam<std::tuple<size_t, Recompute, bool>> {
 protected:
  // One parameter of three is trained, or all are.
  Plan Compiled(bool all = false) const {
    const auto [rest, recompute, tied] = GetParam();
    JobSpec job = TestJob();
    job.mutable_training()->set_recompute(recompute);
    job.mutable_model()->set_tied(tied);
    const size_t residue = rest;
    return MustCompile(job, [&](size_t p) { return all || p % 3 == residue; });
  }
};

TEST_P(Untrained, NoGradientIsMadeOfThemAndTheOthersAreComplete) {
  const Plan plan = Compiled();
  std::map<int, int> made;
  for (const Op& op : plan.program.backward) {
    for (const int g : op.gradients) ++made[plan.program.gradient_stream[g].tile];
  }
  const Plan all = Compiled(true);
  for (size_t t = 0; t < plan.tiles.size(); ++t) {
    const Parameter& p = plan.parameters[plan.tiles[t].parameter];
    const int contributions = all.parameters[plan.tiles[t].parameter].contributions;
    EXPECT_EQ(made[static_cast<int>(t)], p.trained ? contributions : 0) << p.name;
  }
}

// Their weights are needed all the same: for forward, and for the gradients of what is below them.
TEST_P(Untrained, TheyAreStreamedAsOthersAre) {
  const Plan plan = Compiled(), all = Compiled(true);
  EXPECT_EQ(plan.program.forward_stream, all.program.forward_stream);
  EXPECT_EQ(plan.program.backward_stream, all.program.backward_stream);
  EXPECT_LE(plan.sram.bytes, all.sram.bytes);
  EXPECT_NE(plan.Hash(), all.Hash());
}

TEST_P(Untrained, TheyCostTheirWeightsOnly) {
  const Plan plan = Compiled();
  uint64_t trained = 0;  // elements
  for (const Parameter& p : plan.parameters) {
    if (p.trained) trained += p.rows * p.cols;
  }
  ResidentBytes sum;
  for (const ResidentBytes& p : CostsOf(plan).memoryx) {
    sum.weights += p.weights;
    sum.optimizer += p.optimizer;
  }
  EXPECT_EQ(sum.weights, 4u * plan.parameter_elements);
  EXPECT_EQ(sum.optimizer, 8 * trained);
}

INSTANTIATE_TEST_SUITE_P(All, Untrained,
                         testing::Combine(testing::Values(0u, 1u, 2u),
                                          testing::Values(RECOMPUTE_NONE, RECOMPUTE_FULL),
                                          testing::Bool()));

TEST(NothingTrained, HasAPlanAndAReport) {
  const Plan plan = MustCompile(TestJob(), [](size_t) { return false; });
  EXPECT_TRUE(plan.program.gradient_stream.empty());
  EXPECT_EQ(CostsOf(plan).memoryx[0].state(), CostsOf(plan).memoryx[0].weights);
  EXPECT_THAT(PlanAsText(plan), Not(HasSubstr("gradients from a wafer")));
  EXPECT_EQ(PlanAsJson(plan)["traffic"]["gradients_to_memoryx_bytes"], 0);
}

}  // namespace
}  // namespace waferstream
