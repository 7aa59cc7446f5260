// Which part of which plan a MemoryX core plays.
#pragma once

#include <cstdint>
#include <map>
#include <utility>

namespace waferstream {

struct MemoryxPlace {
  int process = 0;  // index in the roster
  uint32_t epoch = 0;
  uint64_t start_step = 0;      // steps already done
  bool checkpoint_now = false;  // the checkpoint after start_step steps is due
  // By (shard, process that fills it): how many of its tiles, in plan order, that process has from
  // the epoch before. Both ends of the copy go on behind them.
  std::map<std::pair<int, int>, size_t> filled_tiles = {};

  size_t FilledTiles(int shard, int filler) const {
    const auto at = filled_tiles.find({shard, filler});
    return at == filled_tiles.end() ? 0 : at->second;
  }
};

}  // namespace waferstream
