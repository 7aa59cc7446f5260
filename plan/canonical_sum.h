// The summation tree that gives a job one hash.
//
// The micro-batches 0..leaves-1 of a global batch are the leaves of one binary tree over aligned
// ranges: the node (lo, level) covers [lo, lo + 2^level) and its children are (lo, level - 1) and
// (lo + 2^(level-1), level - 1). A node whose right half holds no leaf *is* its left child: no
// addition takes place. A block is the sum of one node. Two blocks are only ever added when they
// are the two children of one node, in fp32 (IEEE addition of two values commutes, so left + right
// may be written into either). Who adds is free; what is added never moves.
//
// Ranges here are always normalised: climbed past every absent sibling, so that of two blocks one
// can say at once whether they are siblings.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace waferstream {

struct BlockRange {
  uint32_t lo = 0;
  uint8_t level = 0;
  friend bool operator==(const BlockRange&, const BlockRange&) = default;
  friend auto operator<=>(const BlockRange&, const BlockRange&) = default;
};

// The normalised range of one leaf. 0 <= leaf < leaves.
BlockRange LeafRange(uint32_t leaf, uint32_t leaves);

// Whether this normalised range is the whole tree.
bool IsRoot(BlockRange range, uint32_t leaves);

// The normalised range of the one block that this (normalised, non-root) one is added to.
BlockRange Sibling(BlockRange range, uint32_t leaves);

// The normalised range of the sum of `range` and its sibling.
BlockRange Parent(BlockRange range, uint32_t leaves);

// Whether the range is a normalised node of the tree at all; for checking what a peer says.
bool IsValid(BlockRange range, uint32_t leaves);

// The blocks that remain, in order of lo, when all blocks that cover exactly the leaves
// [first, first + count) are summed as far as they go.
std::vector<BlockRange> BlocksOf(uint32_t first, uint32_t count, uint32_t leaves);

// Merges sets of blocks as far as they go; the result is in order of lo.
std::vector<BlockRange> MergeBlocks(std::vector<BlockRange> blocks, uint32_t leaves);

// One addition that is due: the held buffer `left_or_right` receives `other`, and is then the block
// `result`. Buffers are named by the caller's small integers.
struct Merge {
  int into;
  int from;  // free afterwards
  BlockRange result;
};

// Holds the blocks of one (tile, contribution) that have no sibling here yet. Owns no memory:
// buffers are the caller's, named by index. Not thread-safe.
class BlockSet {
 public:
  explicit BlockSet(uint32_t leaves) : leaves_(leaves) {}

  // Adds a block. If its sibling is held, the sibling leaves the set and the addition is returned;
  // the caller does it and calls Insert again with its result.
  std::optional<Merge> Insert(BlockRange range, int buffer);

  struct Held {
    BlockRange range;
    int buffer;
  };
  // In order of lo.
  const std::vector<Held>& held() const { return held_; }
  void Clear() { held_.clear(); }

 private:
  uint32_t leaves_;
  std::vector<Held> held_;
};

}  // namespace waferstream
