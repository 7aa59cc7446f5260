#include "wafer_node/step_clock.h"

#include <gtest/gtest.h>

namespace waferstream {
namespace {

TEST(StepClock, SharesOutTheTimeOfAStep) {
  StepClock clock;
  clock.Restart(10);
  clock.Wait(11);
  clock.Wait(12);  // still the same wait
  EXPECT_TRUE(clock.EndWait(14).has_value());
  EXPECT_FALSE(clock.EndWait(15).has_value());
  clock.ComputeBegins(15);
  clock.ComputeEnds(20);
  clock.Wait(21);
  const StepTimes times = clock.Finish(24);
  EXPECT_EQ(times.step_s, 14);
  EXPECT_EQ(times.exposed_s, 6);
  EXPECT_EQ(times.compute_s, 5);
}

TEST(StepClock, TheNextStepBeginsWhereOneEndsOrAfterAValidation) {
  StepClock clock;
  clock.Restart(0);
  clock.Finish(5);
  clock.Wait(6);
  EXPECT_EQ(clock.EndWait(7), 6);
  clock.Restart(8);
  const StepTimes times = clock.Finish(9);
  EXPECT_EQ(times.step_s, 1);
  EXPECT_EQ(times.exposed_s, 0);
}

}  // namespace
}  // namespace waferstream
