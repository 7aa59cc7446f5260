#include "base/philox.h"

#include <gtest/gtest.h>

#include <cmath>

namespace waferstream {
namespace {

using Words = std::array<uint32_t, 4>;

// A block of Philox4x32-10 by the words of its counter and key, as the published vectors give them.
Words Block(const Words& counter, uint32_t key0, uint32_t key1) {
  const uint64_t seed = uint64_t{key1} << 32 | key0;
  const uint64_t index = uint64_t{counter[1]} << 32 | counter[0];
  const uint64_t step = uint64_t{counter[3] & 0xFFFFFF} << 32 | counter[2];
  return Philox(seed, static_cast<Purpose>(counter[3] >> 24), step, index);
}

// Random123 (github.com/DEShawResearch/random123), tests/kat_vectors, "philox4x32 10".
TEST(Philox, GivesThePublishedBlocks) {
  EXPECT_EQ(Block({0, 0, 0, 0}, 0, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(Block({kOnes, kOnes, kOnes, kOnes}, kOnes, kOnes),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Block({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0xa4093822, 0x299f31d0),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, EveryPartOfTheKeyCounts) {
  const Words block = Philox(1, Purpose::kShuffle, 2, 3);
  EXPECT_NE(Philox(2, Purpose::kShuffle, 2, 3), block);
  EXPECT_NE(Philox(1, Purpose::kSample, 2, 3), block);
  EXPECT_NE(Philox(1, Purpose::kShuffle, 3, 3), block);
  EXPECT_NE(Philox(1, Purpose::kShuffle, 2, 4), block);
  for (int bit = 32; bit < 56; ++bit) {
    EXPECT_NE(Philox(1, Purpose::kShuffle, 2 | uint64_t{1} << bit, 3), block) << bit;
  }
}

TEST(Philox, AUnitIntervalIsNeverZero) {
  EXPECT_EQ(UnitInterval(0), 0x1p-32);
  EXPECT_EQ(UnitInterval(0xffffffff), 1.0);
}

// Box-Muller of the first and the third published block, worked out with Python's math.
TEST(Philox, NormalValuesAreThoseOfTheFormula) {
  const auto zeros = Normal(0, static_cast<Purpose>(0), 0, 0);
  EXPECT_NEAR(zeros[0], 0.9911376804493666, 1e-14);
  EXPECT_NEAR(zeros[1], -0.9246625867937412, 1e-14);
  const auto pi =
      Normal(0x299f31d0a4093822, static_cast<Purpose>(3), 0x70734413198a2e, 0x85a308d3243f6a88);
  EXPECT_NEAR(pi[0], -0.5514679000846961, 1e-14);
  EXPECT_NEAR(pi[1], -0.3122491135502927, 1e-14);
}

TEST(Philox, NormalValuesAreNormal) {
  constexpr int kPairs = 100000;
  double sum = 0, squares = 0, products = 0;
  int beyond_two = 0;
  for (int i = 0; i < kPairs; ++i) {
    const auto [x, y] = Normal(7, Purpose::kInitialise, 0, i);
    sum += x + y;
    squares += x * x + y * y;
    products += x * y;
    beyond_two += (std::abs(x) > 2) + (std::abs(y) > 2);
  }
  // Five standard deviations of each estimate.
  EXPECT_NEAR(sum / (2 * kPairs), 0, 5 / std::sqrt(2.0 * kPairs));
  EXPECT_NEAR(squares / (2 * kPairs), 1, 5 * std::sqrt(2 / (2.0 * kPairs)));
  EXPECT_NEAR(products / kPairs, 0, 5 / std::sqrt(1.0 * kPairs));
  EXPECT_NEAR(beyond_two / (2.0 * kPairs), 0.0455003, 5 * std::sqrt(0.0455 / (2.0 * kPairs)));
}

}  // namespace
}  // namespace waferstream
