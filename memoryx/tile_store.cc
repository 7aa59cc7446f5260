#include "memoryx/tile_store.h"

#include <algorithm>
#include <utility>

#include "base/status.h"

namespace waferstream {

TileStore::TileStore(const Plan& plan, int process, Shards shards)
    : shards_(std::move(shards)), local_of_(plan.tiles.size(), -1) {
  for (const auto& shard : shards_) {
    for (size_t i = 0; i < shard->tiles().size(); ++i) {
      HeldTile& tile = shard->tiles()[i];
      WS_CHECK(plan.Holds(process, tile.tile()));
      held_.push_back({&tile, shard.get(), i, plan.Primary(tile.tile()) == process});
    }
  }
  std::sort(held_.begin(), held_.end(),
            [](const Held& a, const Held& b) { return a.tile->tile() < b.tile->tile(); });
  for (const Held& held : held_) {
    local_of_[held.tile->tile()] = static_cast<int>(tiles_.size());
    tiles_.push_back(held.tile->tile());
  }
}

std::vector<int> TileStore::LocalsOf(int shard) const {
  std::vector<int> locals;
  for (size_t local = 0; local < held_.size(); ++local) {
    if (held_[local].shard->shard() == shard) locals.push_back(static_cast<int>(local));
  }
  return locals;
}

float* TileStore::gradient_buffers(int local) const {
  return held_[local].shard->gradient_buffers(held_[local].index);
}

size_t TileStore::bytes() const {
  size_t bytes = 0;
  for (const auto& shard : shards_) bytes += shard->bytes();
  return bytes;
}

}  // namespace waferstream
