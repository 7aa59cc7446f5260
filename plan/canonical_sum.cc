#include "plan/canonical_sum.h"

#include <algorithm>
#include <utility>

#include "base/status.h"

namespace waferstream {
namespace {

// 64 bits, because the end of a range may lie beyond the last leaf.
uint64_t Width(BlockRange range) { return uint64_t{1} << range.level; }

bool IsRightChild(BlockRange range) { return (range.lo >> range.level) & 1; }

BlockRange Normalised(BlockRange range, uint32_t leaves) {
  while (!IsRoot(range, leaves) && !IsRightChild(range) && range.lo + Width(range) >= leaves) {
    ++range.level;
  }
  return range;
}

bool AreSiblings(BlockRange a, BlockRange b, uint32_t leaves) {
  return !IsRoot(a, leaves) && Sibling(a, leaves) == b;
}

}  // namespace

BlockRange LeafRange(uint32_t leaf, uint32_t leaves) {
  WS_CHECK(leaf < leaves);
  return Normalised({leaf, 0}, leaves);
}

bool IsRoot(BlockRange range, uint32_t leaves) { return range.lo == 0 && Width(range) >= leaves; }

BlockRange Sibling(BlockRange range, uint32_t leaves) {
  WS_CHECK(!IsRoot(range, leaves));
  // A left child's sibling exists because the range is normalised.
  return {range.lo ^ static_cast<uint32_t>(Width(range)), range.level};
}

BlockRange Parent(BlockRange range, uint32_t leaves) {
  WS_CHECK(!IsRoot(range, leaves));
  const uint32_t lo = range.lo & ~static_cast<uint32_t>(Width(range));
  return Normalised({lo, static_cast<uint8_t>(range.level + 1)}, leaves);
}

bool IsValid(BlockRange range, uint32_t leaves) {
  if (range.level > 32 || range.lo >= leaves || range.lo % Width(range) != 0) return false;
  // The root is the smallest range that holds every leaf; nothing above it is a node.
  if (range.level > 0 && range.lo == 0 && Width(range) / 2 >= leaves) return false;
  return Normalised(range, leaves) == range;
}

std::vector<BlockRange> BlocksOf(uint32_t first, uint32_t count, uint32_t leaves) {
  std::vector<BlockRange> blocks;
  blocks.reserve(count);
  for (uint32_t i = 0; i < count; ++i) blocks.push_back(LeafRange(first + i, leaves));
  return MergeBlocks(std::move(blocks), leaves);
}

std::vector<BlockRange> MergeBlocks(std::vector<BlockRange> blocks, uint32_t leaves) {
  std::sort(blocks.begin(), blocks.end());
  // In order of lo a right sibling is complete only directly after its left one, so a stack does.
  std::vector<BlockRange> merged;
  for (BlockRange block : blocks) {
    while (!merged.empty() && AreSiblings(block, merged.back(), leaves)) {
      merged.pop_back();
      block = Parent(block, leaves);
    }
    merged.push_back(block);
  }
  return merged;
}

std::optional<Merge> BlockSet::Insert(BlockRange range, int buffer) {
  WS_CHECK(IsValid(range, leaves_));
  auto at = std::lower_bound(held_.begin(), held_.end(), range,
                             [](const Held& held, BlockRange r) { return held.range < r; });
  WS_CHECK(at == held_.end() || at->range != range);  // exactly once
  if (!IsRoot(range, leaves_)) {
    const BlockRange sibling = Sibling(range, leaves_);
    for (auto held = held_.begin(); held != held_.end(); ++held) {
      if (held->range != sibling) continue;
      const Merge merge{held->buffer, buffer, Parent(range, leaves_)};
      held_.erase(held);
      return merge;
    }
  }
  held_.insert(at, {range, buffer});
  return std::nullopt;
}

}  // namespace waferstream
