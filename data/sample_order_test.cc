#include "data/sample_order.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace waferstream {
namespace {

TEST(SampleOrderTest, NoneWalksThroughAndStartsAgain) {
  const SampleOrder order(SHUFFLE_NONE, 1, 5);
  EXPECT_EQ(order.At(0), 0);
  EXPECT_EQ(order.At(4), 4);
  EXPECT_EQ(order.At(5), 0);
  EXPECT_EQ(order.At(12), 2);
}

// Every size around the powers of the Feistel domain, and the degenerate ones.
TEST(SampleOrderTest, EveryEpochIsAPermutation) {
  for (int64_t samples = 1; samples < 70; ++samples) {
    const SampleOrder order(SHUFFLE_EPOCH, 42, samples);
    for (uint64_t epoch = 0; epoch < 3; ++epoch) {
      std::set<int64_t> seen;
      for (int64_t i = 0; i < samples; ++i) seen.insert(order.At(epoch * samples + i));
      ASSERT_EQ(static_cast<int64_t>(seen.size()), samples);
      ASSERT_EQ(*seen.begin(), 0);
      ASSERT_EQ(*seen.rbegin(), samples - 1);
    }
  }
}

TEST(SampleOrderTest, SeedsAndEpochsDiffer) {
  const auto first = [](uint64_t seed, uint64_t epoch) {
    const SampleOrder order(SHUFFLE_EPOCH, seed, 1000);
    std::vector<int64_t> samples;
    for (uint64_t i = 0; i < 1000; ++i) samples.push_back(order.At(epoch * 1000 + i));
    return samples;
  };
  EXPECT_EQ(first(1, 0), first(1, 0));
  EXPECT_NE(first(1, 0), first(1, 1));
  EXPECT_NE(first(1, 0), first(2, 0));
}

// A shuffle that leaves runs together is no shuffle: of 4095 neighbours, about one stays one.
TEST(SampleOrderTest, SeparatesNeighbours) {
  const SampleOrder order(SHUFFLE_EPOCH, 9, 4096);
  int together = 0;
  for (uint64_t i = 1; i < 4096; ++i) together += order.At(i) == order.At(i - 1) + 1;
  EXPECT_LT(together, 10);
}

}  // namespace
}  // namespace waferstream
