#include "controller/validations.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace waferstream {
namespace {

class ValidationsTest : public testing::Test {
 protected:
  ValidationsTest() {
    status_.set_steps(100);
    EarlyStop* stop = status_.mutable_job()->mutable_training()->mutable_early_stop();
    stop->set_patience(2);
    stop->set_min_delta(0.1);
    status_.mutable_job()->mutable_checkpoint()->set_keep_best(true);
  }

  void Validate(uint64_t steps, double loss) { NoteValidation(steps, loss, status_, memory_); }
  void Checkpoint(uint64_t steps, const char* path) {
    status_.set_checkpoint_step(steps);
    status_.set_checkpoint(path);
    NoteBestCheckpoint(status_);
  }

  JobStatus status_;
  JobMemory::Validations memory_;
};

TEST_F(ValidationsTest, TheBestIsTheLeast) {
  Validate(10, 3);
  EXPECT_EQ(status_.best_step(), 10u);
  Validate(20, 2.95);  // better, though not by min_delta
  EXPECT_EQ(status_.best_step(), 20u);
  EXPECT_EQ(status_.best_val_loss(), 2.95);
  Validate(30, 2.95);
  EXPECT_EQ(status_.best_step(), 20u) << "the first of equals";
}

TEST_F(ValidationsTest, StopsWhenPatienceIsOver) {
  Validate(10, 3);
  Validate(20, 2.95);
  EXPECT_FALSE(StopsEarly(status_, memory_));
  Validate(30, 2.89);  // by min_delta better than what was there before the row
  EXPECT_EQ(memory_.in_vain(), 0u);
  Validate(40, 2.85);
  Validate(50, 4);
  ASSERT_TRUE(StopsEarly(status_, memory_));
  StopEarly(status_, memory_);
  EXPECT_FALSE(StopsEarly(status_, memory_)) << "it has";
  EXPECT_EQ(status_.steps(), 50u);
  EXPECT_TRUE(status_.stopped_early());
  ASSERT_EQ(status_.job().training().amendments_size(), 1);
  EXPECT_EQ(status_.job().training().amendments(0).from_step(), 50u);
  EXPECT_TRUE(status_.job().training().amendments(0).end());
}

TEST_F(ValidationsTest, OneThatIsDoneAgainCountsOnce) {
  Validate(10, 3);
  Validate(20, 3);
  const JobMemory::Validations before = memory_;
  Validate(10, 3);
  Validate(20, 3);
  EXPECT_EQ(memory_.SerializeAsString(), before.SerializeAsString());
}

TEST_F(ValidationsTest, ThereIsNothingToStopAtTheEnd) {
  Validate(10, 3);
  Validate(20, 3);
  Validate(100, 3);
  EXPECT_FALSE(StopsEarly(status_, memory_));
  status_.mutable_job()->mutable_training()->clear_early_stop();
  status_.set_steps(200);
  EXPECT_FALSE(StopsEarly(status_, memory_));
}

TEST_F(ValidationsTest, TheBestCheckpointIsThatOfTheBestValidation) {
  Checkpoint(10, "a");
  EXPECT_EQ(status_.best_checkpoint(), "") << "not measured yet";
  Validate(10, 3);
  NoteBestCheckpoint(status_);
  EXPECT_EQ(status_.best_checkpoint(), "a");
  Validate(20, 4);
  Checkpoint(20, "b");
  EXPECT_EQ(status_.best_checkpoint(), "a");
  Validate(30, 2);
  EXPECT_EQ(status_.best_checkpoint(), "a") << "until the better one is there";
  Checkpoint(30, "c");
  EXPECT_EQ(status_.best_checkpoint(), "c");
  EXPECT_EQ(status_.best_checkpoint_step(), 30u);
  status_.mutable_job()->mutable_checkpoint()->set_keep_best(false);
  Validate(40, 1);
  Checkpoint(40, "d");
  EXPECT_EQ(status_.best_checkpoint(), "c") << "nobody keeps it";
}

TEST_F(ValidationsTest, WhatIsComputedOtherwiseIsForgotten) {
  Validate(10, 3);
  Checkpoint(10, "a");
  Validate(20, 4);
  ForgetValidationsAfter(20, status_, memory_);
  EXPECT_EQ(memory_.counted_steps(), 20u);
  ForgetValidationsAfter(15, status_, memory_);
  EXPECT_EQ(memory_.counted_steps(), 0u);
  EXPECT_EQ(status_.best_step(), 0u);
  EXPECT_EQ(status_.best_checkpoint(), "a");
  Validate(20, 5);
  EXPECT_EQ(status_.best_val_loss(), 5);
}

}  // namespace
}  // namespace waferstream
