#include "controller/job_difference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace waferstream {
namespace {

using testing::HasSubstr;

JobSpec Job() {
  JobSpec job;
  job.set_name("moss");
  job.mutable_training()->set_steps(8);
  job.mutable_training()->mutable_optimizer()->mutable_sgd()->set_lr(0.1);
  return job;
}

TEST(JobDifference, NamesTheFirstField) {
  EXPECT_EQ(DifferenceOf(Job(), Job()), "");
  JobSpec other = Job();
  other.mutable_training()->set_steps(9);
  EXPECT_EQ(DifferenceOf(Job(), other), "training.steps: 8 -> 9");
  other.mutable_training()->mutable_optimizer()->mutable_sgd()->set_lr(0.2);
  EXPECT_EQ(DifferenceOf(Job(), other), "training.steps: 8 -> 9");
}

TEST(JobDifference, AlsoWhatIsMissingOrMore) {
  JobSpec other = Job();
  other.mutable_training()->mutable_optimizer()->mutable_adamw()->set_lr(0.1);
  EXPECT_THAT(DifferenceOf(Job(), other), HasSubstr("training.optimizer"));
  other = Job();
  other.mutable_training()->add_amendments()->set_from_step(3);
  EXPECT_THAT(DifferenceOf(Job(), other), HasSubstr("amendments"));
  other = Job();
  other.set_name("two\nlines and " + std::string(1000, 'x'));
  EXPECT_LT(DifferenceOf(Job(), other).size(), 300u);
  EXPECT_EQ(DifferenceOf(Job(), other).find('\n'), std::string::npos);
}

}  // namespace
}  // namespace waferstream
