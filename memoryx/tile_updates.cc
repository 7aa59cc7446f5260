#include "memoryx/tile_updates.h"

#include <algorithm>

#include "base/status.h"

namespace waferstream {

TileUpdates::TileUpdates(const Plan& plan, uint64_t start_step, TileStore& store,
                         const GradientSum* gradients)
    : plan_(plan),
      store_(store),
      gradients_(gradients),
      committed_(start_step),
      tiles_(store.tiles().size(), {.version = start_step}) {}

void TileUpdates::Commit(const StepUpdate& update) {
  WS_CHECK(update.step == committed_);
  for (const Versioned& tile : tiles_) WS_CHECK(tile.version == committed_);
  update_ = update;
  ++committed_;
}

bool TileUpdates::IsHeld(const Versioned& tile) const {
  return tile.copied < tile.version &&
         std::find(held_.begin(), held_.end(), tile.version) != held_.end();
}

TileUpdates::State TileUpdates::StateOf(int local) const {
  const Versioned& tile = tiles_[local];
  if (tile.running) return State::kWaiting;
  if (tile.version == committed_) return State::kCurrent;
  return tile.pins > 0 || IsHeld(tile) ? State::kWaiting : State::kDue;
}

std::function<void(Parallel&)> TileUpdates::Begin(int local) {
  WS_CHECK(StateOf(local) == State::kDue);
  tiles_[local].running = true;
  ++tiles_[local].version;
  const Tile& tile = plan_.tiles[store_.tiles()[local]];
  TileArrays arrays;
  arrays.elements = tile.elements;
  arrays.is_matrix = plan_.parameters[tile.parameter].is_matrix;
  arrays.gradient = gradients_->total(local);
  arrays.weights = store_.weights(local);
  arrays.states = store_.states(local);
  return [&optimizer = plan_.job.training().optimizer(), update = update_,
          arrays](Parallel& parallel) { ApplyUpdate(optimizer, update, arrays, parallel); };
}

}  // namespace waferstream
