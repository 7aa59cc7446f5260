// The additions are recorded as text: "(0+1)" is leaf 0 plus leaf 1. Whatever the partition and the
// order of merging, the text must be that of the direct recursive definition.
#include "plan/canonical_sum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace waferstream {
namespace {

// The definition, straight from the header comment.
std::string Direct(uint32_t lo, int level, uint32_t leaves) {
  if (level == 0) return std::to_string(lo);
  const uint32_t half = uint32_t{1} << (level - 1);
  if (lo + half >= leaves) return Direct(lo, level - 1, leaves);
  return "(" + Direct(lo, level - 1, leaves) + "+" + Direct(lo + half, level - 1, leaves) + ")";
}

std::string Direct(uint32_t leaves) {
  int level = 0;
  while ((uint64_t{1} << level) < leaves) ++level;
  return Direct(0, level, leaves);
}

// A block and the text of its sum.
using Block = std::pair<BlockRange, std::string>;

// Sums blocks as far as they go, taking them in the given order; left + right in the text.
std::vector<Block> Reduce(const std::vector<Block>& blocks, uint32_t leaves) {
  BlockSet set(leaves);
  std::vector<std::string> text;
  std::vector<BlockRange> range_of;
  for (const auto& [range, sum] : blocks) {
    int buffer = static_cast<int>(text.size());
    text.push_back(sum);
    range_of.push_back(range);
    BlockRange now = range;
    while (auto merge = set.Insert(now, buffer)) {
      EXPECT_EQ(merge->from, buffer);
      const bool into_is_left = range_of[merge->into].lo < now.lo;
      const std::string& left = text[into_is_left ? merge->into : merge->from];
      const std::string& right = text[into_is_left ? merge->from : merge->into];
      text[merge->into] = "(" + left + "+" + right + ")";
      range_of[merge->into] = merge->result;
      buffer = merge->into;
      now = merge->result;
    }
  }
  std::vector<Block> reduced;
  for (const auto& held : set.held()) reduced.emplace_back(held.range, text[held.buffer]);
  return reduced;
}

// Leaves are cut into wafers with `sizes` micro-batches each; a wafer reduces its own in order,
// groups of wafers reduce in random order, the last one finishes.
std::string SumOverWafers(const std::vector<uint32_t>& sizes, uint32_t leaves,
                          std::mt19937& random) {
  std::vector<std::vector<Block>> groups;
  uint32_t first = 0;
  for (uint32_t size : sizes) {
    std::vector<Block> own;
    for (uint32_t i = first; i < first + size; ++i) {
      own.emplace_back(LeafRange(i, leaves), std::to_string(i));
    }
    groups.push_back(Reduce(own, leaves));
    std::vector<BlockRange> ranges;
    for (const Block& block : groups.back()) ranges.push_back(block.first);
    EXPECT_EQ(ranges, BlocksOf(first, size, leaves));
    first += size;
  }
  while (groups.size() > 1) {  // a communication tree of random shape
    std::shuffle(groups.begin(), groups.end(), random);
    std::vector<Block> both = groups.back();
    groups.pop_back();
    both.insert(both.end(), groups.back().begin(), groups.back().end());
    std::shuffle(both.begin(), both.end(), random);
    groups.back() = Reduce(both, leaves);
  }
  EXPECT_EQ(groups[0].size(), 1u);
  EXPECT_TRUE(IsRoot(groups[0][0].first, leaves));
  return groups[0][0].second;
}

TEST(CanonicalSum, EveryContiguousPartitionOfSmallBatchesGivesTheSameTree) {
  std::mt19937 random(1);
  for (uint32_t leaves = 1; leaves <= 12; ++leaves) {
    const std::string expected = Direct(leaves);
    for (uint32_t cuts = 0; cuts < (1u << (leaves - 1)); ++cuts) {
      std::vector<uint32_t> sizes(1, 1);
      for (uint32_t i = 0; i + 1 < leaves; ++i) {
        if (cuts >> i & 1) {
          sizes.push_back(1);
        } else {
          ++sizes.back();
        }
      }
      ASSERT_EQ(SumOverWafers(sizes, leaves, random), expected) << leaves << " cuts " << cuts;
    }
  }
}

TEST(CanonicalSum, EveryBalancedPartitionOfLargerBatchesGivesTheSameTree) {
  std::mt19937 random(2);
  for (uint32_t leaves = 13; leaves <= 40; ++leaves) {
    const std::string expected = Direct(leaves);
    for (uint32_t wafers = 1; wafers <= leaves + 2; ++wafers) {  // more wafers than leaves: size 0
      std::vector<uint32_t> sizes;
      for (uint32_t w = 0; w < wafers; ++w)
        sizes.push_back(leaves / wafers + (w < leaves % wafers));
      for (int order = 0; order < 4; ++order) {
        ASSERT_EQ(SumOverWafers(sizes, leaves, random), expected) << leaves << "/" << wafers;
      }
    }
  }
}

TEST(CanonicalSum, ValidRangesAreExactlyTheNodesThatTheLeavesReach) {
  for (uint32_t leaves = 1; leaves <= 70; ++leaves) {
    std::vector<BlockRange> nodes;
    for (uint32_t leaf = 0; leaf < leaves; ++leaf) {
      for (BlockRange at = LeafRange(leaf, leaves);; at = Parent(at, leaves)) {
        nodes.push_back(at);
        if (IsRoot(at, leaves)) break;
        EXPECT_EQ(Sibling(Sibling(at, leaves), leaves), at);
        EXPECT_EQ(Parent(Sibling(at, leaves), leaves), Parent(at, leaves));
      }
    }
    for (uint32_t lo = 0; lo < 2 * leaves; ++lo) {
      for (int level = 0; level <= 40; ++level) {
        const BlockRange range{lo, static_cast<uint8_t>(level)};
        const bool reached = std::find(nodes.begin(), nodes.end(), range) != nodes.end();
        EXPECT_EQ(IsValid(range, leaves), reached) << lo << "@" << level << " of " << leaves;
      }
    }
  }
}

TEST(CanonicalSum, HugeBatchesDoNotOverflow) {
  const uint32_t leaves = 0xffffffffu;
  const BlockRange last = LeafRange(leaves - 1, leaves);
  EXPECT_TRUE(IsValid(last, leaves));
  BlockRange at = last;
  while (!IsRoot(at, leaves)) at = Parent(at, leaves);
  EXPECT_EQ(at, (BlockRange{0, 32}));
}

TEST(CanonicalSumDeathTest, TheSameBlockTwiceIsABug) {
  BlockSet set(4);
  ASSERT_FALSE(set.Insert(LeafRange(0, 4), 0).has_value());
  EXPECT_DEATH(set.Insert(LeafRange(0, 4), 1), "does not hold");
}

}  // namespace
}  // namespace waferstream
