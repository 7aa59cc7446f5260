#include "memoryx/tile_store.h"

#include <utility>

#include "base/status.h"

namespace waferstream {

absl::StatusOr<TileStore> TileStore::Create(const Plan& plan, int process, int states) {
  TileStore store;
  store.local_of_.assign(plan.tiles.size(), -1);
  size_t elements = 0;
  for (size_t i = 0; i < plan.tiles.size(); ++i) {
    if (!plan.Holds(process, static_cast<int>(i))) continue;
    store.local_of_[i] = static_cast<int>(store.tiles_.size());
    store.tiles_.push_back(static_cast<int>(i));
    elements += PaddedElements(plan.tiles[i]);
  }
  store.kinds_ = 1 + states;
  store.at_.resize(store.tiles_.size() * store.kinds_);
  for (size_t kind = 0; kind < store.kinds_; ++kind) {
    ASSIGN_OR_RETURN(Arena arena, Arena::Create(elements * sizeof(float)));
    size_t offset = 0;
    for (size_t local = 0; local < store.tiles_.size(); ++local) {
      const size_t bytes = PaddedElements(plan.tiles[store.tiles_[local]]) * sizeof(float);
      store.at_[local * store.kinds_ + kind] =
          reinterpret_cast<float*>(arena.Claim(offset, bytes).data());
      offset += bytes;
    }
    store.arenas_.push_back(std::move(arena));
  }
  return store;
}

size_t TileStore::bytes() const {
  size_t bytes = 0;
  for (const Arena& arena : arenas_) bytes += arena.size();
  return bytes;
}

}  // namespace waferstream
