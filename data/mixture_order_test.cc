#include "data/mixture_order.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <vector>

namespace waferstream {
namespace {

TEST(MixtureOrder, OneFileIsInItsOwnOrder) {
  for (const Shuffle shuffle : {SHUFFLE_NONE, SHUFFLE_EPOCH}) {
    const int64_t samples = 37;
    const double weight = 3;
    const SampleOrder order(shuffle, 5, samples);
    const MixtureOrder mixture(shuffle, 5, {&samples, 1}, {&weight, 1});
    for (uint64_t n = 0; n < 100; ++n) {
      EXPECT_EQ(mixture.At(n).file, 0);
      EXPECT_EQ(mixture.At(n).sample, order.At(n));
    }
  }
}

TEST(MixtureOrder, WithoutWeightsAnEpochHasEverySampleOfAllFilesOnce) {
  const std::vector<int64_t> samples = {5, 1, 30};
  const MixtureOrder mixture(SHUFFLE_EPOCH, 1, samples, {});
  for (uint64_t epoch = 0; epoch < 3; ++epoch) {
    std::set<std::pair<int, int64_t>> seen;
    for (uint64_t i = 0; i < 36; ++i) {
      const auto at = mixture.At(epoch * 36 + i);
      EXPECT_LT(at.sample, samples[at.file]);
      seen.insert({at.file, at.sample});
    }
    EXPECT_EQ(seen.size(), 36u);
  }
  const MixtureOrder plain(SHUFFLE_NONE, 1, samples, {});
  EXPECT_EQ(plain.At(4).file, 0);
  EXPECT_EQ(plain.At(5).file, 1);
  EXPECT_EQ(plain.At(6).file, 2);
  EXPECT_EQ(plain.At(6).sample, 0);
}

TEST(MixtureOrder, EveryBlockHasTheSharesAndEveryFileItsEpochs) {
  const std::vector<int64_t> samples = {100, 5000, 7};
  const std::vector<double> weights = {0.6, 0.3999999, 1e-7};
  const MixtureOrder mixture(SHUFFLE_EPOCH, 9, samples, weights);
  std::map<int, std::vector<int64_t>> taken;
  for (uint64_t block = 0; block < 10; ++block) {
    std::map<int, int64_t> counts;
    for (int64_t i = 0; i < MixtureOrder::kBlock; ++i) {
      const auto at = mixture.At(block * MixtureOrder::kBlock + i);
      ASSERT_GE(at.sample, 0);
      ASSERT_LT(at.sample, samples[at.file]);
      ++counts[at.file];
      if (block < 9) taken[at.file].push_back(at.sample);
    }
    EXPECT_NEAR(static_cast<double>(counts[0]), 0.6 * MixtureOrder::kBlock, 2);
    EXPECT_NEAR(static_cast<double>(counts[1]), 0.4 * MixtureOrder::kBlock, 2);
    EXPECT_EQ(counts[2], 1);
  }
  // All of a file before any a second time: within the first blocks every one of the hundred has
  // been taken as often as any other, to within one.
  std::map<int64_t, int> times;
  for (const int64_t sample : taken[0]) ++times[sample];
  EXPECT_EQ(times.size(), 100u);
  const auto [low, high] = std::minmax_element(
      times.begin(), times.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  EXPECT_LE(high->second - low->second, 1);
}

TEST(MixtureOrder, BlocksAndSeedsDiffer) {
  const std::vector<int64_t> samples = {100, 100};
  const std::vector<double> weights = {1, 1};
  const MixtureOrder a(SHUFFLE_NONE, 1, samples, weights), b(SHUFFLE_NONE, 2, samples, weights);
  int same = 0, same_block = 0;
  for (uint64_t n = 0; n < 1000; ++n) {
    same += a.At(n).file == b.At(n).file ? 1 : 0;
    same_block += a.At(n).file == a.At(n + MixtureOrder::kBlock).file ? 1 : 0;
  }
  EXPECT_LT(same, 600);
  EXPECT_LT(same_block, 600);
}

}  // namespace
}  // namespace waferstream
