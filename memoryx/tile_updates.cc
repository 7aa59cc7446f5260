#include "memoryx/tile_updates.h"

#include <algorithm>
#include <utility>

#include "base/status.h"
#include "memoryx/tile_math.h"

namespace waferstream {

TileUpdates::TileUpdates(const Plan& plan, uint64_t start_step, const TileStore& store)
    : plan_(plan), store_(store), committed_(start_step) {
  for (size_t local = 0; local < store.tiles().size(); ++local) {
    const int at = static_cast<int>(local);
    tiles_.push_back({.version = store.tile(at).version(), .primary = store.IsPrimary(at)});
  }
}

void TileUpdates::Commit(const StepUpdate& update) {
  WS_CHECK(update.step == committed_);
  for (const Versioned& tile : tiles_) {
    const bool filled_ahead = !tile.primary && tile.version == committed_ + 1;
    WS_CHECK(tile.version == committed_ || tile.version == HeldTile::kAbsent || filled_ahead);
  }
  for (const auto& shard : store_.shards()) shard->Commit(update);
  update_ = update;
  ++committed_;
}

bool TileUpdates::IsHeld(const Versioned& tile) const {
  return tile.primary && tile.copied < tile.version &&
         std::find(held_.begin(), held_.end(), tile.version) != held_.end();
}

TileUpdates::State TileUpdates::StateOf(int local) const {
  const Versioned& tile = tiles_[local];
  if (tile.version == HeldTile::kAbsent) return State::kAbsent;
  if (tile.running) return State::kWaiting;
  if (tile.version >= committed_) return State::kCurrent;
  return tile.pins > 0 || IsHeld(tile) ? State::kWaiting : State::kDue;
}

LaneQueue::Work TileUpdates::Begin(int local) {
  WS_CHECK(StateOf(local) == State::kDue);
  tiles_[local].running = true;
  ++tiles_[local].version;
  return [&optimizer = plan_.job.training().optimizer(), update = update_,
          &tile = store_.tile(local)](Parallel& parallel) {
    return tile.Update(optimizer, update, parallel);
  };
}

uint64_t TileUpdates::AboutNs(int local) const {
  const HeldTile& tile = store_.tile(local);
  return tile.NeedsWorkspace() ? 0 : tile.elements() * kUpdateNs;
}

void TileUpdates::Run(int local, LaneQueue& lanes, std::function<void()> then, Turn& turn) {
  const auto done = [this, local, then = std::move(then)](const absl::Status& status, Turn&) {
    RETURN_IF_ERROR(status);
    End(local);
    then();
    return absl::OkStatus();
  };
  lanes.Run(Lane::kCompute, "update", Begin(local), done, turn, AboutNs(local));
}

void TileUpdates::Fill(int local, uint64_t version) {
  WS_CHECK(StateOf(local) == State::kAbsent && !tiles_[local].primary);
  tiles_[local].version = version;
}

}  // namespace waferstream
