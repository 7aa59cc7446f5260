// Updates the tiles that another process streams: no stream of this one comes by and needs them.
//
// One at a time, and only when the compute lane has nothing else to do, so that the stream of the
// tiles that this process is the primary of is never behind them. A tile whose next gradient comes
// first is updated then (MemoryxCore).
//
// Not thread-safe; called by the core.
#pragma once

#include <deque>

#include "memoryx/lane_queue.h"
#include "memoryx/tile_store.h"
#include "memoryx/tile_updates.h"

namespace waferstream {

class SecondaryUpdates {
 public:
  // All references outlive it.
  SecondaryUpdates(const TileStore& store, TileUpdates& updates, LaneQueue& lanes)
      : store_(store), updates_(updates), lanes_(lanes) {}

  // A commit has made updates due.
  void AddAll();
  // So has a copy that arrived at the version before the commit.
  void Add(int local) { waiting_.push_back(local); }
  void Pump(Turn& turn);

 private:
  const TileStore& store_;
  TileUpdates& updates_;
  LaneQueue& lanes_;
  std::deque<int> waiting_;  // local tiles, perhaps updated meanwhile; each at most once a commit
};

}  // namespace waferstream
