// MemoryX: owns parameters, optimizer state and gradient accumulation, and runs the optimizer.
//
//   tiles:      TileSender streams them, pass after pass, as credit and commits allow
//   gradients:  GradientSum finishes their canonical sums and reports GradientsReady, when
//               UntrainedCheck has looked at the weights that have none
//   updates:    TileUpdates knows which tile is at which step; Commit makes the next update due,
//               and the stream carries it out tile by tile; SecondaryUpdates does so for tiles that
//               another process streams
//   checkpoint: CheckpointCopier writes each tile on the disk lane beside all this
//   copies:     ShardCopier sends a shard to a new holder, ShardFiller takes one in
//
// Commits reach the processes one after the other, so a tile's next gradient may come to a process
// that does not stream it before the commit does. Such blocks stay in their receive slots until the
// commit is here.
//
// Lifecycle: one core for one epoch of one job. Create allocates everything that is the epoch's;
// Start grants the receive windows; nothing is allocated for a tile afterwards. Abandoning a step
// means destroying the core; the shards live on.
//
// Threads: all calls from one executor (core/role_core.h). Danger: the bytes of tiles belong to the
// lanes while work of this core runs there; the shell stops the lanes before it destroys the core.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/role_core.h"
#include "memoryx/checkpoint_copier.h"
#include "memoryx/checkpoint_sink.h"
#include "memoryx/gradient_sum.h"
#include "memoryx/lane_queue.h"
#include "memoryx/place.h"
#include "memoryx/secondary_updates.h"
#include "memoryx/shard_copier.h"
#include "memoryx/shard_filler.h"
#include "memoryx/tile_sender.h"
#include "memoryx/tile_store.h"
#include "memoryx/tile_updates.h"
#include "memoryx/untrained_check.h"
#include "plan/plan.h"

namespace waferstream {

class MemoryxCore final : public RoleCore {
 public:
  // `store` holds the weights (and optimizer state) after place.start_step steps, but for shards
  // that are to be filled. `plan` must outlive the core. RESOURCE_EXHAUSTED: no memory.
  static absl::StatusOr<std::unique_ptr<MemoryxCore>> Create(const Plan& plan,
                                                             const MemoryxPlace& place,
                                                             TileStore store,
                                                             std::unique_ptr<CheckpointSink> sink);

  // Everything allocated for payload: weights, optimizer state, gradients, windows, send slots.
  size_t resident_bytes() const;

  void Start(Turn& turn) override;
  absl::StatusOr<std::span<std::byte>> BufferFor(ChannelId channel,
                                                 const FrameHeader& header) override;
  absl::Status OnFrame(ChannelId channel, const FrameHeader& header, const std::byte* payload,
                       Turn& turn) override;
  void OnCredit(ChannelId channel, FrameKind kind, const Credit& credit, Turn& turn) override;
  void OnSent(uint64_t token, Turn& turn) override;
  absl::Status OnComputeDone(uint64_t id, const absl::Status& status, Turn& turn) override;
  // FAILED_PRECONDITION: not the step whose gradients are complete. Again: OK, changes nothing.
  absl::Status OnCommit(const CommitRequest& request, Turn& turn) override;

 private:
  MemoryxCore(const Plan& plan, const MemoryxPlace& place, TileStore store);

  bool IsCopy(ChannelId channel) const {
    return plan_.channels[channel].kind == ChannelKind::kCopy;
  }
  // INVALID_ARGUMENT: the gradient cannot exist yet.
  absl::Status CheckTimely(const FrameHeader& gradient) const;
  absl::Status CheckCopy(const FrameHeader& copy) const;
  void Land(const GradientSum::Arrival& arrival, Turn& turn);
  // Whether this process's part of the step is done, and sound.
  bool StepIsDone() const { return gradients_->complete() && untrained_->done(); }
  // Starts whatever the last event made possible.
  void Pump(Turn& turn);
  void ReportGradients(Turn& turn);

  const Plan& plan_;
  const MemoryxPlace place_;
  const TileStore store_;
  LaneQueue lanes_;
  TrafficCounters traffic_;
  std::unique_ptr<GradientSum> gradients_;  // null for a job that does not train
  std::unique_ptr<TileUpdates> updates_;
  std::unique_ptr<TileSender> sender_;
  // Null for a job that does not train.
  std::unique_ptr<UntrainedCheck> untrained_;
  std::unique_ptr<CheckpointCopier> checkpoints_;
  std::unique_ptr<SecondaryUpdates> secondary_;
  std::unique_ptr<ShardCopier> copier_;
  std::unique_ptr<ShardFiller> filler_;
  std::vector<GradientSum::Arrival> early_;  // blocks of the step after the awaited commit
  bool reported_ = false;                    // GradientsReady of the current step
};

}  // namespace waferstream
