// Writes the tiles that this process streams to a checkpoint while training goes on.
//
// From the commit of its step on, tiles are written one after the other on the disk lane, in the
// order in which the next forward pass needs them. The stream never waits for the disk, except that
// a tile is not updated a second time before its copy is written: so a copy needs no memory. A tile
// that was not updated yet when its turn comes is updated then.
//
// A failed write ends the checkpoint, not the job: it is reported and the tiles are let go. A tile
// that is damaged in memory is not written; it ends the epoch.
//
// Not thread-safe; called by the core.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "core/role_core.h"
#include "memoryx/checkpoint_sink.h"
#include "memoryx/lane_queue.h"
#include "memoryx/tile_store.h"
#include "memoryx/tile_updates.h"
#include "plan/plan.h"

namespace waferstream {

class CheckpointCopier {
 public:
  // All references outlive it.
  CheckpointCopier(const Plan& plan, const TileStore& store, TileUpdates& updates, LaneQueue& lanes,
                   std::unique_ptr<CheckpointSink> sink);

  // A checkpoint of the weights after `steps_done` steps, the newest commit's, is due.
  void Add(uint64_t steps_done);
  // Starts what can be started. Reports CheckpointWritten at the end of each checkpoint.
  void Pump(Turn& turn);

 private:
  // Runs `work` on the disk lane; then `next`, or, when it failed, the end of the checkpoint.
  void RunOnDisk(LaneQueue::Work work, std::function<void(Turn&)> next, Turn& turn);
  void WriteNext(int local, Turn& turn);
  void End(const absl::Status& status, Turn& turn);

  const Plan& plan_;
  const TileStore& store_;
  TileUpdates& updates_;
  LaneQueue& lanes_;
  std::unique_ptr<CheckpointSink> sink_;
  std::vector<int> order_;    // local tiles
  std::deque<uint64_t> due_;  // steps done; the front one is being written. At most 3: updates of
                              // a later step wait for the copies of an earlier one.
  size_t written_ = 0;        // tiles of the front one
  bool begun_ = false;        // the front one
  bool busy_ = false;         // something of ours is on a lane
};

}  // namespace waferstream
