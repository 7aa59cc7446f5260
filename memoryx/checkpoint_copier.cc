#include "memoryx/checkpoint_copier.h"

#include <functional>
#include <utility>

#include "base/status.h"
#include "core/fault.h"
#include "plan/pass.h"

namespace waferstream {

CheckpointCopier::CheckpointCopier(const Plan& plan, const TileStore& store, TileUpdates& updates,
                                   LaneQueue& lanes, std::unique_ptr<CheckpointSink> sink)
    : plan_(plan), store_(store), updates_(updates), lanes_(lanes), sink_(std::move(sink)) {
  std::vector<bool> seen(store.tiles().size(), false);
  for (const int tile : StreamOf(plan, PassKind::kForward)) {
    const int local = store.LocalOf(tile);
    if (local < 0 || !store.IsPrimary(local)) continue;
    if (seen[local]) continue;  // a tied embedding is streamed twice
    seen[local] = true;
    order_.push_back(local);
  }
}

void CheckpointCopier::Add(uint64_t steps_done) {
  due_.push_back(steps_done);
  updates_.Hold(steps_done);
}

void CheckpointCopier::Pump(Turn& turn) {
  if (due_.empty() || busy_) return;
  const uint64_t steps_done = due_.front();
  if (!begun_) {
    const auto begin = [this, steps_done](Parallel&) { return sink_->Begin(steps_done); };
    return RunOnDisk(
        begin, [this](Turn&) { begun_ = true; }, turn);
  }
  if (written_ == order_.size()) {
    const auto finish = [this](Parallel&) { return sink_->Finish(); };
    return RunOnDisk(
        finish, [this](Turn& turn) { End(absl::OkStatus(), turn); }, turn);
  }
  const int local = order_[written_];
  if (updates_.version(local) == steps_done) {
    if (updates_.IsSettled(local)) WriteNext(local, turn);
  } else if (updates_.StateOf(local) == TileUpdates::State::kDue) {
    busy_ = true;
    updates_.Run(
        local, lanes_, [this] { busy_ = false; }, turn);
  }
}

void CheckpointCopier::RunOnDisk(LaneQueue::Work work, std::function<void(Turn&)> next,
                                 Turn& turn) {
  busy_ = true;
  const auto done = [this, next = std::move(next)](const absl::Status& status, Turn& turn) {
    busy_ = false;
    if (FaultOf(status).damaged_shards_size() > 0) return status;
    status.ok() ? next(turn) : End(status, turn);
    return absl::OkStatus();
  };
  lanes_.Run(Lane::kDisk, "copy to a checkpoint", std::move(work), done, turn);
}

void CheckpointCopier::WriteNext(int local, Turn& turn) {
  const auto write = [this, &tile = store_.tile(local)](Parallel& parallel) {
    RETURN_IF_ERROR(tile.Check(parallel));
    return sink_->Write(plan_.tiles[tile.tile()], tile.weights(), tile.states());
  };
  const auto next = [this, local](Turn&) {
    updates_.Copied(local, due_.front());
    ++written_;
  };
  RunOnDisk(write, next, turn);
}

void CheckpointCopier::End(const absl::Status& status, Turn& turn) {
  const uint64_t steps_done = due_.front();
  due_.pop_front();
  updates_.EndHold(steps_done);
  written_ = 0;
  begun_ = false;
  ReportAction action;
  CheckpointWritten* report = action.report.mutable_checkpoint_written();
  report->set_steps_done(steps_done);
  if (!status.ok()) report->set_error(std::string(status.message()));
  turn.actions.push_back(std::move(action));
}

}  // namespace waferstream
