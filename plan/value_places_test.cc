#include "plan/value_places.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "plan/fit.h"
#include "plan/plan.h"
#include "plan/test_job.h"

namespace waferstream {
namespace {

// Values of the given bytes that live from the first to the last op of each pair.
struct Case {
  Program program;
  std::vector<Lifetime> lifetimes;
};
Case CaseOf(const std::vector<std::pair<int64_t, Lifetime>>& values) {
  Case made;
  for (const auto& [bytes, lifetime] : values) {
    Value value;
    value.width = bytes / 4;
    value.per_token = false;
    value.storage = static_cast<int>(made.program.values.size());
    made.program.values.push_back(value);
    made.lifetimes.push_back(lifetime);
  }
  return made;
}

TEST(PlaceValues, ThoseThatNeverLiveTogetherShareBytes) {
  const Case c = CaseOf({{640, {0, 3}}, {640, {4, 5}}, {64, {3, 4}}, {64, {-1, -1}}});
  const ValuePlaces places = PlaceValues(c.program, c.lifetimes, 1);
  EXPECT_EQ(places.offsets[0], places.offsets[1]);
  EXPECT_EQ(places.offsets[2], 640u);
  EXPECT_EQ(places.bytes, 704u);
}

TEST(PlaceValues, WhatPassesTakesTheLowestGapAboveWhatStays) {
  const Case c = CaseOf({{128, {0, 900}}, {256, {3, 5}}, {64, {0, 8}}, {64, {5, 6}}, {64, {6, 7}}});
  const ValuePlaces places = PlaceValues(c.program, c.lifetimes, 1);
  EXPECT_EQ(places.offsets, (std::vector<size_t>{0, 128, 384, 448, 128}));
  EXPECT_EQ(places.bytes, 512u);
}

TEST(PlaceValues, WhatStaysIsAStack) {
  const Case c = CaseOf({{64, {0, 900}}, {128, {10, 890}}, {192, {20, 880}}, {64, {885, 887}}});
  const ValuePlaces places = PlaceValues(c.program, c.lifetimes, 1);
  EXPECT_EQ(places.offsets, (std::vector<size_t>{0, 64, 192, 192}));
}

TEST(PlaceValues, AValueInAnothersPlaceNeedsWhatTheLargerNeeds) {
  Case c = CaseOf({{64, {0, 5}}, {128, {-1, -1}}, {64, {0, 5}}});
  c.program.values[1].storage = 0;
  const ValuePlaces places = PlaceValues(c.program, c.lifetimes, 1);
  EXPECT_EQ(places.offsets[1], places.offsets[0]);
  EXPECT_EQ(places.bytes, 192u);
}

Plan PlanOf(Precision precision, const KeepPolicy& policy, bool generation) {
  JobSpec job = TestJob();
  job.mutable_model()->set_layers(5);
  job.mutable_model()->set_hidden(36);  // nothing is a multiple of 64 bytes by itself
  job.mutable_training()->set_precision(precision);
  if (generation) {
    job.mutable_generate()->add_prompt(1);
    job.mutable_generate()->set_tokens(1);
  }
  auto plan = Compile(job, {});
  EXPECT_TRUE(plan.ok()) << plan.status();
  SetPolicy(*plan, policy);
  return *std::move(plan);
}

std::vector<Lifetime> Lifetimes(const Plan& plan) {
  if (plan.is_generation()) return LifetimesOf(plan.program, {&plan.program.generate});
  return LifetimesOf(plan.program, {&plan.program.forward, &plan.program.backward});
}

constexpr KeepPolicy kPolicies[] = {
    {RECOMPUTE_NONE}, {RECOMPUTE_SELECTIVE}, {RECOMPUTE_FULL}, {RECOMPUTE_FULL, false}};

void ForEveryPlan(const std::function<void(const Plan&)>& check) {
  for (const Precision precision : {F32, BF16}) {
    for (const KeepPolicy& policy : kPolicies) check(PlanOf(precision, policy, false));
    check(PlanOf(precision, {RECOMPUTE_NONE}, true));
  }
}

TEST(PlaceValues, NoTwoThatLiveTogetherShareAByte) {
  ForEveryPlan([](const Plan& plan) {
    const std::vector<Lifetime> lifetimes = Lifetimes(plan);
    const std::vector<Value>& values = plan.program.values;
    for (size_t a = 0; a < values.size(); ++a) {
      const size_t end = plan.places.offsets[a] + BytesOf(values[a], plan.tokens());
      const Lifetime& life = lifetimes[values[a].storage];
      if (life.first < 0) continue;
      EXPECT_LE(end, plan.places.bytes);
      EXPECT_EQ(plan.places.offsets[a] % 64, 0u);
      for (size_t b = 0; b < a; ++b) {
        const Lifetime& other = lifetimes[values[b].storage];
        const bool together = life.first <= other.last && other.first <= life.last;
        if (values[a].storage == values[b].storage || other.first < 0 || !together) continue;
        EXPECT_TRUE(plan.places.offsets[b] >= end ||
                    plan.places.offsets[b] + BytesOf(values[b], plan.tokens()) <=
                        plan.places.offsets[a])
            << values[a].name << " and " << values[b].name;
      }
    }
  });
}

// What lives at the busiest moment is what no layout can do without.
TEST(PlaceValues, TakesHardlyMoreThanLivesAtOnce) {
  ForEveryPlan([](const Plan& plan) {
    const std::vector<Lifetime> lifetimes = Lifetimes(plan);
    int end = 0;
    for (const Lifetime& lifetime : lifetimes) end = std::max(end, lifetime.last);
    size_t most = 0;
    for (int now = 0; now <= end; ++now) {
      size_t bytes = 0;
      for (size_t v = 0; v < lifetimes.size(); ++v) {
        if (lifetimes[v].first < 0 || now < lifetimes[v].first || now > lifetimes[v].last) continue;
        bytes += BytesOf(plan.program.values[v], plan.tokens());
      }
      most = std::max(most, bytes);
    }
    // A generation's are few, and one of them in the wrong place is much.
    EXPECT_LE(plan.places.bytes, most * (plan.is_generation() ? 1.25 : 1.05))
        << plan.policy.recompute;
  });
}

}  // namespace
}  // namespace waferstream
