// Finishes the canonical sum of every gradient of the held tiles.
//
// SwarmX delivers blocks on each channel in plan order; a block goes into a receive slot, and the
// compute lane adds it to its sibling or, when that is still to come (in a later wave), copies it
// into one of the buffers of its (tile, contribution). When the last block of the last contribution
// has been added, the contributions are added in their order, and the sum of squares is taken. That
// was the weights' last use in the step, so they are checked then: GradientsReady vouches for the
// weights that made the gradients.
//
// Invariants:
// 1. The logical state (which block is in which buffer) changes when a frame arrives; the bytes
//    follow on the compute lane, which works in order. So whoever reads a total there, after
//    complete(), reads it whole.
// 2. Each (tile, contribution) has as many buffers as blocks are ever waiting at once. That follows
//    from the plan's waves alone: 1 for one wave, about log2(waves) for more.
//
// Bytes: the receive windows; the buffers are the shards' (shard_memory.h).
// Not thread-safe; called by the core.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/arena.h"
#include "core/receive_windows.h"
#include "core/role_core.h"
#include "core/stream_cursor.h"
#include "memoryx/lane_queue.h"
#include "memoryx/place.h"
#include "memoryx/tile_store.h"
#include "plan/canonical_sum.h"
#include "plan/plan.h"

namespace waferstream {

class GradientSum {
 public:
  // A block in its receive slot, or lent for it, with `slot` for Land.
  struct Arrival {
    FrameHeader header;
    int slot;
  };

  // `store` says which tiles are held; their shards get new gradient buffers. All references
  // outlive it. RESOURCE_EXHAUSTED: no memory.
  static absl::StatusOr<std::unique_ptr<GradientSum>> Create(const Plan& plan,
                                                             const MemoryxPlace& place,
                                                             const TileStore& store,
                                                             LaneQueue& lanes,
                                                             TrafficCounters& traffic);

  // Grants the windows.
  void Start(Turn& turn) { slots_.Start(turn); }

  // INVALID_ARGUMENT: not the frame that is due on this channel.
  absl::StatusOr<std::span<std::byte>> BufferFor(ChannelId channel, const FrameHeader& header);
  // The frame of the last BufferFor is here; its slot stays taken until the block is landed.
  Arrival OnFrame(ChannelId channel, const FrameHeader& header, const std::byte* payload);
  // Works out what the arrival of this block lets happen, and sends it to the compute lane. The
  // block is of the current step (BeginStep).
  void Land(const Arrival& arrival, Turn& turn);

  // Whether all gradients of the step are here and summed; a tile that is not trained has none.
  bool complete() const { return tiles_done_ == store_.tiles().size(); }
  // By local tile; of the unclipped gradient, 0 without one. Valid while complete().
  const std::vector<double>& square_sums() const { return square_sums_; }

  // Whether any block of the current step was landed on this tile.
  bool HasBlocks(int local) const;

  // The step is committed: expect the next one's. Only when complete().
  void BeginStep();

  size_t bytes() const { return window_memory_.size(); }

 private:
  struct Contribution {
    BlockSet blocks;
    std::vector<int> free;  // indices of buffers
    float* buffers;         // the first one
    int root = -1;          // the buffer that holds the whole sum
  };
  struct Gradient {
    std::vector<Contribution> contributions;
    size_t elements;
    int missing;  // contributions that are not whole yet
  };
  struct Port {
    GradientCursor due;
    std::optional<int> receiving;  // slot between BufferFor and OnFrame
    FrameHeader header;            // of that frame
  };
  struct Move {
    float* into;
    const float* from;
    bool add;  // or copy
  };

  GradientSum(const Plan& plan, const TileStore& store, LaneQueue& lanes, TrafficCounters& traffic,
              int buffers, Arena window_memory, const std::vector<ChannelId>& channels);
  void LayOutBuffers();
  void SkipOthersTiles(Port& port) const;
  float* Buffer(const Gradient& gradient, const Contribution& c, int index) const;
  // The moves that bring the block to where it waits, or up the tree as far as it goes.
  std::vector<Move> Insert(const Gradient& gradient, Contribution& c, BlockRange range,
                           const float* block);
  // Those that add the contributions of a gradient of which every one is whole. The total is in
  // the root buffer of contribution 0.
  std::vector<Move> AddContributions(const Gradient& gradient) const;
  const float* Total(const Gradient& gradient) const;
  void OnLanded(int slot, bool last_of_tile, Turn& turn);

  const Plan& plan_;
  const TileStore& store_;
  LaneQueue& lanes_;
  TrafficCounters& traffic_;
  const int buffers_;  // of each contribution
  Arena window_memory_;
  ReceiveWindows slots_;
  std::vector<Port> ports_;          // by port of slots_
  std::vector<Gradient> gradients_;  // by local tile
  std::vector<double> square_sums_;
  size_t tiles_done_ = 0;
};

}  // namespace waferstream
