#include "plan/learning_rate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <vector>

namespace waferstream {
namespace {

using ::testing::HasSubstr;

constexpr double kPeak = 2e-3, kLow = 1e-4;
constexpr uint64_t kSteps = 20, kWarmup = 4;

TrainingSpec Training() {
  TrainingSpec training;
  training.set_steps(kSteps);
  training.mutable_optimizer()->mutable_lion()->set_lr(kPeak);
  return training;
}

std::vector<double> RatesOf(const TrainingSpec& training) {
  std::vector<double> rates;
  for (uint64_t t = 0; t < training.steps(); ++t) rates.push_back(LearningRateOf(training, t));
  return rates;
}

void ExpectRates(const TrainingSpec& training, double (*formula)(double t)) {
  const std::vector<double> rates = RatesOf(training);
  for (uint64_t t = 0; t < kSteps; ++t) {
    const double want = t < kWarmup ? kPeak * (t + 1) / kWarmup : formula(static_cast<double>(t));
    EXPECT_NEAR(rates[t], want, 1e-15) << t;
  }
}

TEST(LearningRate, EachOptimizerHasItsOwn) {
  TrainingSpec training = Training();
  Optimizer& optimizer = *training.mutable_optimizer();
  optimizer.mutable_adamw()->set_lr(1);
  EXPECT_EQ(LearningRateOf(training, 0), 1);
  EXPECT_STREQ(OptimizerName(optimizer), "adamw");
  optimizer.mutable_sgd()->set_lr(2);
  EXPECT_EQ(LearningRateOf(training, 0), 2);
  EXPECT_STREQ(OptimizerName(optimizer), "sgd");
  optimizer.mutable_lion()->set_lr(3);
  EXPECT_EQ(LearningRateOf(training, 0), 3);
  EXPECT_STREQ(OptimizerName(optimizer), "lion");
  optimizer.mutable_adafactor()->set_lr(4);
  EXPECT_EQ(LearningRateOf(training, 0), 4);
  EXPECT_STREQ(OptimizerName(optimizer), "adafactor");
  optimizer.mutable_muon()->set_lr(5);
  EXPECT_EQ(LearningRateOf(training, 0), 5);
  EXPECT_STREQ(OptimizerName(optimizer), "muon");
  optimizer.clear_kind();
  EXPECT_STREQ(OptimizerName(optimizer), "none");
}

TEST(LearningRate, IsConstantBehindItsWarmup) {
  TrainingSpec training = Training();
  EXPECT_EQ(RatesOf(training), std::vector<double>(kSteps, kPeak));
  training.mutable_schedule()->mutable_constant();
  EXPECT_EQ(RatesOf(training), std::vector<double>(kSteps, kPeak));
  training.mutable_schedule()->mutable_constant()->set_warmup(kWarmup);
  ExpectRates(training, [](double) { return kPeak; });
}

TEST(LearningRate, FallsOnALine) {
  TrainingSpec training = Training();
  Linear* linear = training.mutable_schedule()->mutable_linear();
  linear->set_warmup(kWarmup);
  linear->set_min_lr(kLow);
  ExpectRates(training,
              [](double t) { return kPeak - (kPeak - kLow) * (t - kWarmup) / (kSteps - kWarmup); });
}

TEST(LearningRate, FallsAlongTheCosine) {
  TrainingSpec training = Training();
  Cosine* cosine = training.mutable_schedule()->mutable_cosine();
  cosine->set_warmup(kWarmup);
  cosine->set_min_lr(kLow);
  ExpectRates(training, [](double t) {
    const double share = (t - kWarmup) / (kSteps - kWarmup);
    return kLow + (kPeak - kLow) * (1 + std::cos(std::numbers::pi * share)) / 2;
  });
}

TEST(LearningRate, StaysAndThenDecays) {
  TrainingSpec training = Training();
  Wsd* wsd = training.mutable_schedule()->mutable_wsd();
  wsd->set_warmup(kWarmup);
  wsd->set_min_lr(kLow);
  wsd->set_decay(5);
  ExpectRates(training, [](double t) {
    return t <= kSteps - 5 ? kPeak : kPeak - (kPeak - kLow) * (t - (kSteps - 5)) / 5;
  });
  wsd->set_decay(0);
  ExpectRates(training, [](double) { return kPeak; });
}

// A job's warm-up may be longer than the job: what a short trial of a long one has.
TEST(LearningRate, AWarmupMayNeverEnd) {
  TrainingSpec training = Training();
  training.mutable_schedule()->mutable_linear()->set_warmup(2 * kSteps);
  EXPECT_DOUBLE_EQ(LearningRateOf(training, kSteps - 1), kPeak / 2);
  training.mutable_schedule()->mutable_wsd()->set_warmup(2 * kSteps);
  training.mutable_schedule()->clear_linear();
  EXPECT_TRUE(CheckLearningRate(training).ok());
  EXPECT_DOUBLE_EQ(LearningRateOf(training, kSteps - 1), kPeak / 2);
}

TEST(LearningRate, RisesAgainFromWhereItIsTold) {
  TrainingSpec training = Training();
  training.mutable_schedule()->mutable_linear();
  const std::vector<double> before = RatesOf(training);
  training.mutable_rewarm()->set_from(8);
  training.mutable_rewarm()->set_steps(5);
  const std::vector<double> rates = RatesOf(training);
  for (uint64_t t = 0; t < kSteps; ++t) {
    const double factor = t < 8 ? 1 : std::min(1.0, (t - 8 + 1) / 5.0);
    EXPECT_DOUBLE_EQ(rates[t], factor * before[t]) << t;
  }
}

TEST(LearningRate, AnAmendmentHoldsFromItsStepOn) {
  TrainingSpec training = Training();
  Amendment* amendment = training.add_amendments();
  amendment->set_from_step(3);
  amendment->set_lr(kLow);
  training.add_amendments()->set_from_step(5);  // of something else
  EXPECT_EQ(LearningRateOf(training, 2), kPeak);
  for (uint64_t t = 3; t < kSteps; ++t) EXPECT_EQ(LearningRateOf(training, t), kLow) << t;
}

TEST(LearningRate, MuonsRestHasTheSameShape) {
  Muon muon;
  muon.set_lr(0.02);
  muon.mutable_rest()->set_lr(3e-4);
  EXPECT_DOUBLE_EQ(LearningRateOfRest(muon, 0.02), 3e-4);
  EXPECT_DOUBLE_EQ(LearningRateOfRest(muon, 0.005), 0.75e-4);
}

TEST(LearningRate, WhatDoesNotFitIsRefusedByName) {
  TrainingSpec training = Training();
  Wsd* wsd = training.mutable_schedule()->mutable_wsd();
  wsd->set_warmup(kWarmup);
  wsd->set_decay(kSteps - kWarmup);
  EXPECT_TRUE(CheckLearningRate(training).ok());
  wsd->set_decay(kSteps - kWarmup + 1);
  EXPECT_EQ(CheckLearningRate(training).message(),
            "training.schedule.wsd.decay: 17 is more than the 16 steps after the warm-up of 4, of "
            "20");
  training.clear_schedule();
  training.mutable_rewarm()->set_from(kSteps - 1);
  EXPECT_TRUE(CheckLearningRate(training).ok());
  training.mutable_rewarm()->set_from(kSteps);
  EXPECT_THAT(CheckLearningRate(training).message(),
              HasSubstr("training.rewarm.from: 20 is not below training.steps: 20"));
}

}  // namespace
}  // namespace waferstream
