#include "base/exact_sum.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace waferstream {
namespace {

constexpr double kLargest = std::numeric_limits<double>::max();
constexpr double kSmallest = std::numeric_limits<double>::denorm_min();

double Sum(const std::vector<double>& values) {
  ExactSum sum;
  for (const double value : values) sum.Add(value);
  return sum.Rounded();
}

// Another way: partial sums that do not overlap (Shewchuk 1997, "Adaptive precision floating-point
// arithmetic"), as Python's fsum has them, rounded once at the end.
double Shewchuk(const std::vector<double>& values) {
  std::vector<double> partials;
  for (double x : values) {
    std::vector<double> next;
    for (double y : partials) {
      if (std::abs(x) < std::abs(y)) std::swap(x, y);
      const double high = x + y, low = y - (high - x);
      if (low != 0) next.push_back(low);
      x = high;
    }
    next.push_back(x);
    partials = next;
  }
  double high = 0, low = 0;
  while (!partials.empty()) {
    const double x = high, y = partials.back();
    partials.pop_back();
    high = x + y;
    low = y - (high - x);
    if (low != 0) break;
  }
  // Half way is decided by what is left below.
  if (!partials.empty() && (low < 0) == (partials.back() < 0) && low != 0) {
    const double y = low * 2, x = high + y;
    if (y == x - high) high = x;
  }
  return high;
}

TEST(ExactSum, OfOneValueIsTheValue) {
  for (const double value : {0.0, 1.0, 0.1, 1e300, 1e-300, kLargest, kSmallest, 3 * kSmallest,
                             std::numeric_limits<double>::min()}) {
    EXPECT_EQ(Sum({value}), value);
  }
}

TEST(ExactSum, KeepsWhatDoublesLose) {
  EXPECT_EQ(Sum({1e16, 1, 1}), 1e16 + 2);
  EXPECT_EQ(Sum({std::ldexp(1, 53), 1}), std::ldexp(1, 53));              // a tie, to even
  EXPECT_EQ(Sum({std::ldexp(1, 53), 1, 1e-300}), std::ldexp(1, 53) + 2);  // just above it
  EXPECT_EQ(Sum({std::ldexp(1, 53) + 2, 1}), std::ldexp(1, 53) + 4);      // a tie, to even
  EXPECT_EQ(Sum({kLargest, kLargest}), std::numeric_limits<double>::infinity());
  EXPECT_EQ(Sum({kSmallest, kSmallest, kSmallest}), 3 * kSmallest);
}

TEST(ExactSum, IsTheSameInEveryOrderAndHoweverItIsSpread) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 300; ++round) {
    std::vector<double> values(1 + random() % 200);
    const int range = 1 + static_cast<int>(random() % 600);
    for (double& value : values) {
      value = std::ldexp(static_cast<double>(random() >> 11),
                         static_cast<int>(random() % range) - range);
    }
    const double expected = Shewchuk(values);
    EXPECT_EQ(Sum(values), expected);
    std::shuffle(values.begin(), values.end(), random);
    std::vector<ExactSum> parts(1 + random() % 5);
    for (const double value : values) parts[random() % parts.size()].Add(value);
    ExactSum added, travelled;
    for (const ExactSum& part : parts) {
      added.Add(part);
      ASSERT_TRUE(travelled.Add(static_cast<uint32_t>(part.first()), part.limbs()).ok());
    }
    EXPECT_EQ(added.Rounded(), expected);
    EXPECT_TRUE(travelled == added);
  }
}

TEST(ExactSum, TravelsAsFewLimbs) {
  ExactSum sum;
  EXPECT_TRUE(sum.limbs().empty());
  for (int i = 1; i <= 1000; ++i) sum.Add(1.0 / i);
  EXPECT_LE(sum.limbs().size(), 4u);
}

TEST(ExactSum, RefusesWhatIsNoSum) {
  ExactSum sum;
  sum.Add(1);
  const ExactSum before = sum;
  const std::vector<uint32_t> limbs(ExactSum::kLimbs, 1);
  EXPECT_FALSE(sum.Add(0, limbs).ok());
  EXPECT_FALSE(sum.Add(1, std::span(limbs).first(ExactSum::kLimbs - 1)).ok());
  EXPECT_FALSE(sum.Add(ExactSum::kLimbs, {}).ok());
  EXPECT_FALSE(sum.Add(0xffffffff, std::span(limbs).first(1)).ok());
  EXPECT_TRUE(sum == before);
  EXPECT_TRUE(sum.Add(0, std::span(limbs).first(ExactSum::kLimbs - 1)).ok());
}

TEST(ExactSumDeathTest, TakesNoOtherValues) {
  ExactSum sum;
  EXPECT_DEATH(sum.Add(-1), "value >= 0");
  EXPECT_DEATH(sum.Add(std::numeric_limits<double>::infinity()), "isfinite");
}

}  // namespace
}  // namespace waferstream
