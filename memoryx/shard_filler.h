// Receives the tiles of the shards that this process fills.
//
// A tile arrives in its final place: its memory is nobody's before. The primary may be one commit
// ahead or behind, so a tile at version v is taken when the steps committed here are
//   v:     nothing is due;
//   v + 1: its update is due. The gradient of step v is here and complete;
//   v - 1: the commit of step v - 1 is still to come, and is already in the tile.
// Before, its gradients are summed like any other's and its updates are skipped. When a shard's
// last tile is here: ShardFilled; the process is then an owner like any other. Until then
// ShardFilling says now and then how far it is, so that the next epoch goes on from there.
//
// Not thread-safe; called by the core.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/role_core.h"
#include "memoryx/lane_queue.h"
#include "memoryx/place.h"
#include "memoryx/tile_store.h"
#include "memoryx/tile_updates.h"
#include "plan/plan.h"

namespace waferstream {

class ShardFiller {
 public:
  static constexpr size_t kReportsAShard = 64;

  // All references outlive it.
  ShardFiller(const Plan& plan, const MemoryxPlace& place, const TileStore& store,
              TileUpdates& updates, LaneQueue& lanes);

  // Grants the windows.
  void Start(Turn& turn);

  // INVALID_ARGUMENT: not the tile that is due on this channel, or not at one of the three
  // versions.
  absl::StatusOr<std::span<std::byte>> BufferFor(ChannelId channel, const FrameHeader& header);
  // Returns the local tile that is now here.
  int OnFrame(ChannelId channel, Turn& turn);

 private:
  struct Port {
    ChannelId channel;
    int shard;
    std::vector<int> tiles;           // local
    size_t next = 0;                  // to arrive
    size_t landed = 0;                // in place, with checksums
    std::optional<uint64_t> version;  // of the one that is arriving
  };

  Port& PortOf(ChannelId channel);
  void OnLanded(Port& port, SlotClass slot, Turn& turn);
  void ReportIfFilled(const Port& port, Turn& turn) const;
  void ReportProgress(const Port& port, Turn& turn) const;

  const Plan& plan_;
  const MemoryxPlace place_;
  const TileStore& store_;
  TileUpdates& updates_;
  LaneQueue& lanes_;
  std::vector<Port> ports_;
};

}  // namespace waferstream
