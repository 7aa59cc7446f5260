#include "memoryx/untrained_check.h"

#include "base/status.h"

namespace waferstream {

UntrainedCheck::UntrainedCheck(const Plan& plan, const TileStore& store, TileUpdates& updates,
                               const TileSender& sender, LaneQueue& lanes)
    : store_(store), updates_(updates), sender_(sender), lanes_(lanes) {
  for (size_t local = 0; local < store.tiles().size(); ++local) {
    const Tile& tile = plan.tiles[store.tiles()[local]];
    if (!plan.parameters[tile.parameter].trained) tiles_.push_back(static_cast<int>(local));
  }
}

void UntrainedCheck::Pump(Turn& turn) {
  if (done() || state_ == State::kRunning || !sender_.WaitsForCommit()) return;
  state_ = State::kRunning;
  for (const int local : tiles_) {
    if (updates_.StateOf(local) != TileUpdates::State::kDue) continue;
    updates_.Run(
        local, lanes_, [] {}, turn);
  }
  const auto check = [this](Parallel& parallel) {
    for (const int local : tiles_) {
      HeldTile& tile = store_.tile(local);
      if (tile.version() != HeldTile::kAbsent) RETURN_IF_ERROR(tile.CheckWeights(parallel));
    }
    return absl::OkStatus();
  };
  const auto done = [this](const absl::Status& status, Turn&) {
    state_ = State::kDone;
    return status;
  };
  lanes_.Run(Lane::kCompute, "check what is not trained", check, done, turn);
}

}  // namespace waferstream
