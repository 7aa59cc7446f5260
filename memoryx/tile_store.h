// The memory of the tiles that one MemoryX process owns: fp32 master weights and optimizer state.
//
// Each kind is one allocation, made once, in the order of tiles. An owned tile has a `local` index:
// its place in tiles(). The bytes of a tile may be touched by one lane at a time; who may is the
// core's business (TileUpdates).
//
//   bytes = 4 * elements * (1 + states), each tile padded to 64 bytes
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "base/arena.h"
#include "plan/plan.h"

namespace waferstream {

class TileStore {
 public:
  // Everything is zero. `states`: arrays that the optimizer keeps for every parameter.
  // RESOURCE_EXHAUSTED: the memory is not there.
  static absl::StatusOr<TileStore> Create(const Plan& plan, int process, int states);

  // Owned tiles, in plan order.
  const std::vector<int>& tiles() const { return tiles_; }
  // -1: another process owns the tile.
  int LocalOf(int tile) const { return local_of_[tile]; }

  float* weights(int local) { return At(0, local); }
  const float* weights(int local) const { return At(0, local); }
  // One array for each optimizer state.
  std::span<float* const> states(int local) const { return {&at_[local * kinds_ + 1], kinds_ - 1}; }

  size_t bytes() const;

 private:
  TileStore() = default;
  float* At(int kind, int local) const { return at_[local * kinds_ + kind]; }

  std::vector<int> tiles_;
  std::vector<int> local_of_;
  std::vector<Arena> arenas_;  // by kind: weights, then states
  size_t kinds_ = 0;
  std::vector<float*> at_;  // [local][kind]
};

// Floats that a tile occupies, so that no two tiles share a cache line.
inline size_t PaddedElements(const Tile& tile) { return (tile.elements + 15) / 16 * 16; }

}  // namespace waferstream
