#include "plan/optimizer_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plan/plan.h"
#include "plan/test_job.h"

namespace waferstream {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> NamesOf(const std::vector<OptimizerState>& states) {
  std::vector<std::string> names;
  for (const OptimizerState& state : states) names.push_back(state.name);
  return names;
}

TEST(OptimizerState, EachOptimizerKeepsWhatPyTorchsKeeps) {
  Optimizer optimizer;
  optimizer.mutable_adamw();
  EXPECT_THAT(NamesOf(StatesOf(optimizer, Parameter())), ElementsAre("exp_avg", "exp_avg_sq"));
  optimizer.mutable_sgd();
  EXPECT_THAT(StatesOf(optimizer, Parameter()), IsEmpty());
  optimizer.mutable_sgd()->set_momentum(0.9);
  EXPECT_THAT(NamesOf(StatesOf(optimizer, Parameter())), ElementsAre("momentum"));
}

TEST(OptimizerState, NothingIsKeptOfWhatIsNotTrained) {
  Optimizer optimizer;
  optimizer.mutable_adamw();
  std::vector<Parameter> parameters(2);
  parameters[1].trained = false;
  const StateTable states = StatesOf(optimizer, parameters);
  EXPECT_EQ(states[0].size(), 2u);
  EXPECT_THAT(states[1], IsEmpty());
  EXPECT_TRUE(KeepsAny(states));
}

TEST(OptimizerState, AGenerationKeepsNone) {
  JobSpec job = TestJob();
  EXPECT_TRUE(KeepsAny(StatesOf(*Compile(job, {}))));
  job.mutable_generate()->add_prompt(1);
  job.mutable_generate()->set_tokens(1);
  const Plan plan = *Compile(job, {});
  EXPECT_EQ(StatesOf(plan).size(), plan.parameters.size());
  EXPECT_THAT(StatesOf(plan), Each(IsEmpty()));
}

// The tiles' arrays are the parameter's, whatever its shape: every row once, in order.
TEST(OptimizerState, ThoseOfTheTilesMakeUpThoseOfTheParameter) {
  std::vector<Parameter> parameters = *BuildParameters(TestJob().model());
  const std::vector<Tile> tiles = CutTiles(parameters, 1024);
  for (const bool per_row : {false, true}) {
    for (const bool per_column : {false, true}) {
      const OptimizerState state = {.name = "s", .per_row = per_row, .per_column = per_column};
      std::vector<int64_t> rows(parameters.size(), 0);
      for (const Tile& tile : tiles) {
        const Parameter& p = parameters[tile.parameter];
        const Parameter shape = ShapeOf(state, p);
        const RowSpan span = RowsOf(state, tile);
        EXPECT_EQ(span.first, rows[tile.parameter]);
        rows[tile.parameter] += span.count;
        EXPECT_EQ(ElementsOf(state, tile), span.count * shape.cols);
        EXPECT_EQ(shape.cols, per_column ? p.cols : 1);
        EXPECT_EQ(shape.two_dimensional, per_column && p.two_dimensional) << p.name;
      }
      for (size_t p = 0; p < parameters.size(); ++p) {
        EXPECT_EQ(rows[p], ShapeOf(state, parameters[p]).rows) << parameters[p].name;
      }
    }
  }
}

}  // namespace
}  // namespace waferstream
