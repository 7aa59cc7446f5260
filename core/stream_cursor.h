// Where a channel is in the stream that the plan prescribes: what its next frame must be. Both ends
// walk the same cursor, so a frame that is lost, doubled, late or garbled is seen at once.
//
// Cursors are small values that move forward only. The plan outlives them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "fabric/frame.h"
#include "plan/canonical_sum.h"
#include "plan/pass.h"
#include "plan/plan.h"

namespace waferstream {

// OK when `got` is `expected` in everything but the fabric's own fields; else INVALID_ARGUMENT
// naming both.
absl::Status CheckExpected(const FrameHeader& expected, const FrameHeader& got);

// The same of a gradient block, which may also come without its payload: then it is all zeros.
absl::Status CheckExpectedBlock(FrameHeader expected, const FrameHeader& got);

// The tiles of one plane, pass after pass, to the end of the job.
class TileCursor {
 public:
  static constexpr int kAnyone = -1;  // all tiles of the plane

  // Only tiles that MemoryX process `primary` streams, or kAnyone.
  TileCursor(const Plan& plan, int plane, int primary, uint32_t epoch, uint64_t start_step);

  bool done() const { return !pass_; }
  int tile() const { return tiles()[position_]; }
  // Of the frame that carries the tile.
  FrameHeader Header() const;
  void Advance();

 private:
  // Of the current pass.
  const std::vector<int>& tiles() const {
    return pass_->kind == PassKind::kBackward ? backward_ : forward_;
  }
  void SkipEmptyPasses();

  const Plan* plan_;
  uint32_t epoch_;
  std::vector<int> forward_;  // the share of the plan's streams that takes this way
  std::vector<int> backward_;
  std::optional<Pass> pass_;  // nullopt: the job is done
  size_t position_ = 0;
};

// The gradient blocks that one subtree sends up one plane, to the end of the job.
class GradientCursor {
 public:
  // `down`: the wafer or SwarmX node at the top of the subtree.
  GradientCursor(const Plan& plan, int plane, const Endpoint& down, uint32_t epoch,
                 uint64_t start_step);

  bool done() const { return item_ == end_; }
  // Counts the plane's gradients through waves and steps; orders them.
  uint64_t item() const { return item_; }
  int TileOf(uint64_t item) const { return items_[item % items_.size()].tile; }
  BlockRange range() const { return blocks()[block_]; }
  // Whether the block is the last one of its item.
  bool last_of_item() const { return block_ + 1 == blocks().size(); }
  FrameHeader Header() const;
  void Advance();
  // Blocks of one whole step.
  uint64_t blocks_per_step() const;

 private:
  const std::vector<BlockRange>& blocks() const { return blocks_[wave()]; }
  uint32_t wave() const { return item_ / items_.size() % blocks_.size(); }
  uint64_t step() const { return item_ / items_.size() / blocks_.size(); }
  void SkipEmptyWaves();

  const Plan* plan_;
  uint32_t epoch_;
  std::vector<GradientItem> items_;              // of one wave
  std::vector<std::vector<BlockRange>> blocks_;  // by wave; the same for every item
  uint64_t item_ = 0;
  uint64_t end_ = 0;
  size_t block_ = 0;  // within the item
};

}  // namespace waferstream
