// Which version of each held tile is in memory, and when it may move to the next.
//
// A tile's version is the number of steps whose update it has. Commit makes the next version due;
// nothing happens until somebody needs the tile at it: the stream, a checkpoint, a copy, or the
// next gradient of a tile that somebody else streams. An update waits while the old version is
// still needed: read in place by the fabric (Pin), or not yet written to a checkpoint (Hold).
//
// Versions here count updates that were sent to the compute lane; HeldTile's follow when they have
// been carried out.
//
// Invariant: at most one update of a tile is due. The gradients of step t + 1 exist only after
// every wafer had the weights at version t + 1, so the next commit cannot come before. A tile may
// be one version ahead of the commits heard here, when its copy came from a process that heard
// more.
//
// Not thread-safe; called by the core.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "memoryx/lane_queue.h"
#include "memoryx/optimizer_rule.h"
#include "memoryx/tile_store.h"
#include "plan/plan.h"

namespace waferstream {

class TileUpdates {
 public:
  enum class State {
    kAbsent,   // not filled yet
    kCurrent,  // at the committed version
    kDue,      // may be updated now
    kWaiting,  // is being updated, or its old version is still needed
  };

  // Starts with the versions that the store's tiles have.
  TileUpdates(const Plan& plan, uint64_t start_step, const TileStore& store);

  uint64_t committed() const { return committed_; }
  // Tells the shards, too.
  void Commit(const StepUpdate& update);

  State StateOf(int local) const;
  uint64_t version(int local) const { return tiles_[local].version; }
  // Whether the bytes of that version are there for other lanes than kCompute.
  bool IsSettled(int local) const { return !tiles_[local].running; }

  // For a tile that is kDue: counts it as updated and returns the work, for Lane::kCompute. Later
  // work on that lane sees the new bytes. End() when it is done.
  LaneQueue::Work Begin(int local);
  void End(int local) { tiles_[local].running = false; }
  // Of that work (ComputeAction::about_ns).
  uint64_t AboutNs(int local) const;
  // Both, as work of its own; `then` when it is done.
  void Run(int local, LaneQueue& lanes, std::function<void()> then, Turn& turn);

  // A copy at `version` is sent to the compute lane: as Begin() for an absent tile.
  void Fill(int local, uint64_t version);

  void Pin(int local) { ++tiles_[local].pins; }
  void Unpin(int local) { --tiles_[local].pins; }

  // Every tile that this process streams stays at `version`, once it is there, until
  // Copied(local, version).
  void Hold(uint64_t version) { held_.push_back(version); }
  void Copied(int local, uint64_t version) { tiles_[local].copied = version; }
  // No tile needs to stay at `version` any more.
  void EndHold(uint64_t version) { std::erase(held_, version); }

 private:
  struct Versioned {
    uint64_t version;
    bool primary;
    uint64_t copied = 0;  // newest version that is in a checkpoint
    int pins = 0;
    bool running = false;
  };

  bool IsHeld(const Versioned& tile) const;

  const Plan& plan_;
  const TileStore& store_;
  uint64_t committed_;
  StepUpdate update_;             // the newest commit
  std::vector<Versioned> tiles_;  // by local
  std::vector<uint64_t> held_;    // versions; a checkpoint holds one until it is written
};

}  // namespace waferstream
