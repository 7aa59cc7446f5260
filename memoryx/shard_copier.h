// Sends shards to the processes that fill them, tile by tile, beside the stream.
//
// Each copy channel takes its shard's tiles in plan order. A tile is brought to the committed
// version, checked, and read in place by the fabric: a copy needs no memory.
//
// Invariant: from its check until the filler has granted its slot back, a tile keeps its version
// (it is pinned). So it has not been streamed at the next one, and the filler cannot have a block
// of a gradient that was made with the next one.
//
// Copies give way to training without a clock: at most one tile is copied for every
// kStreamedPerCopied tiles that were streamed. When the stream is done there is no limit.
//
// Not thread-safe; called by the core.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/role_core.h"
#include "memoryx/lane_queue.h"
#include "memoryx/place.h"
#include "memoryx/tile_sender.h"
#include "memoryx/tile_store.h"
#include "memoryx/tile_updates.h"
#include "plan/plan.h"

namespace waferstream {

class ShardCopier {
 public:
  // A copied tile carries its optimizer state; AdamW's is up to 6 times a streamed one: with
  // 4, copies take about as much of the network as the stream does, and less of its time the more
  // the wafers compute.
  static constexpr uint64_t kStreamedPerCopied = 4;

  // All references outlive it.
  ShardCopier(const Plan& plan, const MemoryxPlace& place, const TileStore& store,
              TileUpdates& updates, const TileSender& sender, LaneQueue& lanes);

  void OnCredit(ChannelId channel, const Credit& credit);
  // Whether the token is of a copy; else it is the stream's.
  static bool IsCopy(uint64_t token) { return (token & kCopyToken) != 0; }
  void OnSent(uint64_t token);
  // Starts whatever credit, versions and the pace allow.
  void Pump(Turn& turn);

 private:
  static constexpr uint64_t kCopyToken = uint64_t{1} << 63;  // the low half is the local tile

  struct Port {
    ChannelId channel;
    std::vector<int> tiles;  // local
    size_t next = 0;
    bool busy = false;  // the next tile, or the last one before it, is on the compute lane
    CreditBalance credit = {};
    std::optional<int> at_filler[kSlotClasses] = {};  // local tile in its slot
  };

  void Advance(Port& port, Turn& turn);
  void Send(Port& port, int local, Turn& turn);

  const Plan& plan_;
  const uint32_t epoch_;
  const TileStore& store_;
  TileUpdates& updates_;
  const TileSender& sender_;
  LaneQueue& lanes_;
  std::vector<Port> ports_;
  uint64_t copied_ = 0;
};

}  // namespace waferstream
