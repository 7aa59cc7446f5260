// The tiles that one MemoryX process holds in one epoch, of all its shards, in plan order.
//
// A held tile has a `local` index: its place in tiles(). Copies share the shards. Read-only: the
// tiles it leads to have their own rule of threads.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "memoryx/shard_memory.h"
#include "plan/plan.h"

namespace waferstream {

class TileStore {
 public:
  using Shards = std::vector<std::shared_ptr<ShardMemory>>;

  // `shards`: those that the process holds in this plan, in order.
  TileStore(const Plan& plan, int process, Shards shards);

  // In plan order.
  const std::vector<int>& tiles() const { return tiles_; }
  // -1: the process does not hold the tile.
  int LocalOf(int tile) const { return local_of_[tile]; }
  // Whether this process streams the tile.
  bool IsPrimary(int local) const { return held_[local].primary; }

  // Of one shard's tiles, in plan order.
  std::vector<int> LocalsOf(int shard) const;

  HeldTile& tile(int local) const { return *held_[local].tile; }
  // ShardMemory::gradient_buffers of the tile.
  float* gradient_buffers(int local) const;

  const Shards& shards() const { return shards_; }
  size_t bytes() const;

 private:
  struct Held {
    HeldTile* tile;
    ShardMemory* shard;
    size_t index;  // among the shard's tiles
    bool primary;
  };

  Shards shards_;
  std::vector<int> tiles_;
  std::vector<int> local_of_;
  std::vector<Held> held_;  // by local
};

}  // namespace waferstream
