#include "base/normal_array.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

namespace waferstream {
namespace {

constexpr uint64_t kSeed = 0x123456789abcdef;
constexpr double kDeviation = 0.02;

std::vector<float> Filled(uint64_t first, uint64_t n, uint64_t step = 3) {
  std::vector<float> values(n + 1, -7);
  FillNormal(kSeed, Purpose::kInitialise, step, kDeviation, first, n, values.data());
  EXPECT_EQ(values[n], -7);
  values.pop_back();
  return values;
}

float Plain(uint64_t e, uint64_t step = 3) {
  const auto pair = Normal(kSeed, Purpose::kInitialise, step, e / 2);
  return static_cast<float>(kDeviation * pair[e % 2]);
}

// A unit in the last place of a float here and there, where the C library rounds a double
// otherwise.
TEST(NormalArray, IsWhatNormalSays) {
  constexpr uint64_t kCount = 2'000'000;
  const std::vector<float> values = Filled(0, kCount);
  int other = 0;
  for (uint64_t e = 0; e < kCount; ++e) {
    const float plain = Plain(e);
    if (values[e] == plain) continue;
    ++other;
    EXPECT_EQ(values[e], std::nextafter(plain, values[e])) << e;
  }
  EXPECT_LE(other, 10);
}

TEST(NormalArray, AnyPartIsAPartOfTheWhole) {
  const std::vector<float> whole = Filled(0, 100);
  for (const uint64_t first : {0, 1, 2, 7}) {
    for (const uint64_t n : {0, 1, 2, 3, 8, 15, 64}) {
      EXPECT_EQ(Filled(first, n),
                std::vector<float>(whole.begin() + first, whole.begin() + first + n))
          << first << " " << n;
    }
  }
}

TEST(NormalArray, CountersGoBeyondAWord) {
  constexpr uint64_t kFar = (uint64_t{1} << 33) - 4;
  const std::vector<float> values = Filled(kFar, 16, uint64_t{1} << 40);
  for (uint64_t i = 0; i < 16; ++i) EXPECT_FLOAT_EQ(values[i], Plain(kFar + i, uint64_t{1} << 40));
}

TEST(NormalArray, HasTheMomentsOfTheNormalDistribution) {
  const std::vector<float> values = Filled(0, 1'000'000);
  double sum = 0, square = 0, fourth = 0;
  for (const float value : values) {
    const double x = value / kDeviation;
    sum += x;
    square += x * x;
    fourth += x * x * x * x;
  }
  EXPECT_NEAR(sum / 1e6, 0, 0.004);
  EXPECT_NEAR(square / 1e6, 1, 0.006);
  EXPECT_NEAR(fourth / 1e6, 3, 0.04);
}

}  // namespace
}  // namespace waferstream
