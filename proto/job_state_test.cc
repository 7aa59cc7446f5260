#include "proto/job_state.h"

#include <gtest/gtest.h>

namespace waferstream {
namespace {

TEST(JobState, NoOtherStateFollowsAFinalOne) {
  for (const JobState state : {DONE, FAILED, CANCELLED}) EXPECT_TRUE(IsFinal(state));
  // A paused job is resumed or cancelled.
  for (const JobState state : {QUEUED, PREPARING, RUNNING, PAUSED}) EXPECT_FALSE(IsFinal(state));
}

}  // namespace
}  // namespace waferstream
