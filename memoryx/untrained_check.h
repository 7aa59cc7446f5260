// Checks the weights that are not trained, once a step.
//
// Weights that are trained are checked when their gradient is whole (GradientSum): that was their
// last use in the step, so GradientsReady vouches for all weights that made the gradients. Those
// that are not trained have no gradient. They are checked when the process has sent whatever it
// sends before the next commit, each after the update that its version still lacked.
//
// Not thread-safe; called by the core.
#pragma once

#include <vector>

#include "memoryx/lane_queue.h"
#include "memoryx/tile_sender.h"
#include "memoryx/tile_store.h"
#include "memoryx/tile_updates.h"
#include "plan/plan.h"

namespace waferstream {

class UntrainedCheck {
 public:
  // All references outlive it.
  UntrainedCheck(const Plan& plan, const TileStore& store, TileUpdates& updates,
                 const TileSender& sender, LaneQueue& lanes);

  // Whether the step's check is done, or there is nothing to check.
  bool done() const { return tiles_.empty() || state_ == State::kDone; }
  // The step is committed. Only when done().
  void BeginStep() { state_ = State::kDue; }
  // Begins the check when its time has come.
  void Pump(Turn& turn);

 private:
  enum class State { kDue, kRunning, kDone };

  const TileStore& store_;
  TileUpdates& updates_;
  const TileSender& sender_;
  LaneQueue& lanes_;
  std::vector<int> tiles_;  // local
  State state_ = State::kDue;
};

}  // namespace waferstream
