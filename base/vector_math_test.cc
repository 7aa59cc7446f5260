#include "base/vector_math.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/philox.h"
#include "hwy/targets.h"

namespace waferstream {
namespace {

const std::vector<size_t> kSizes = {0, 1, 3, 15, 16, 17, 31, 100, 1023};

std::vector<float> Values(size_t n, uint64_t seed) {
  std::vector<float> x(n);
  for (size_t i = 0; i < n; ++i) x[i] = Normal(seed, Purpose::kInitialise, 0, i)[0];
  return x;
}

TEST(VectorMathTest, AddIsElementwise) {
  for (size_t n : kSizes) {
    const auto a = Values(n, 1), b = Values(n, 2);
    auto sum = a;
    Add(sum.data(), b.data(), n);
    for (size_t i = 0; i < n; ++i) EXPECT_EQ(sum[i], a[i] + b[i]);
  }
}

TEST(VectorMathTest, SquareSumHasTheDocumentedOrder) {
  for (size_t n : kSizes) {
    const auto x = Values(n, 3);
    double sums[16] = {};
    for (size_t i = 0; i < n; ++i) sums[i % 16] += double{x[i]} * x[i];
    for (int half = 8; half > 0; half /= 2) {
      for (int i = 0; i < half; ++i) sums[i] += sums[i + half];
    }
    EXPECT_EQ(SquareSum(x.data(), n), sums[0]) << n;
  }
}

TEST(VectorMathTest, SquareSumShowsWhatIsNotFinite) {
  for (size_t bad : {0u, 16u, 40u}) {
    auto x = Values(41, 4);
    x[bad] = std::numeric_limits<float>::infinity();
    EXPECT_FALSE(std::isfinite(SquareSum(x.data(), x.size())));
    x[bad] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_FALSE(std::isfinite(SquareSum(x.data(), x.size())));
    x[bad] = std::numeric_limits<float>::max();
    EXPECT_TRUE(std::isfinite(SquareSum(x.data(), x.size())));
  }
}

TEST(VectorMathTest, ConversionsMatchTheScalarOnes) {
  for (size_t n : kSizes) {
    auto x = Values(n, 5);
    const std::vector<uint32_t> special = {0x00000000, 0x80000000, 0x3f808000, 0x3f818000,
                                           0x7f7fffff, 0x7f800000, 0xff800000, 0x7f800001,
                                           0xffc00000, 0x00000001, 0x3f807fff, 0x3f808001};
    for (size_t i = 0; i < std::min(n, special.size()); ++i)
      x[i] = std::bit_cast<float>(special[i]);
    std::vector<Bf16> half(n);
    ConvertToBf16(x.data(), half.data(), n);
    std::vector<float> back(n);
    ConvertToFloat(half.data(), back.data(), n);
    for (size_t i = 0; i < n; ++i) {
      EXPECT_EQ(half[i].bits, ToBf16(x[i]).bits) << i;
      EXPECT_EQ(std::bit_cast<uint32_t>(back[i]), std::bit_cast<uint32_t>(ToFloat(half[i]))) << i;
    }
  }
}

// A MemoryX node without AVX-512 must agree with one that has it.
TEST(VectorMathTest, EverySimdTargetGivesTheSameBits) {
  const size_t n = 1000;
  const auto x = Values(n, 6), y = Values(n, 7);
  const int64_t targets = hwy::SupportedTargets();
  std::vector<double> squares;
  std::vector<std::vector<float>> sums;
  for (int64_t rest = targets; rest != 0; rest &= rest - 1) {
    hwy::SetSupportedTargetsForTest(rest & -rest);
    hwy::GetChosenTarget().DeInit();
    squares.push_back(SquareSum(x.data(), n));
    sums.push_back(x);
    Add(sums.back().data(), y.data(), n);
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().DeInit();
  for (size_t i = 1; i < squares.size(); ++i) {
    EXPECT_EQ(squares[i], squares[0]);
    EXPECT_EQ(sums[i], sums[0]);
  }
}

}  // namespace
}  // namespace waferstream
