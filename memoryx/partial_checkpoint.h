// The CheckpointSink of a training job: writes into the epoch's folder in job.checkpoint.dir.
#pragma once

#include <optional>
#include <string>

#include "checkpoint/checkpoint_writer.h"
#include "checkpoint/folder.h"
#include "memoryx/checkpoint_sink.h"

namespace waferstream {

// What the checkpoints of a training job hold.
CheckpointFormat CheckpointFormatOf(const Plan& plan);

// All calls from one thread; destroyed when no call is running.
class PartialCheckpoint final : public CheckpointSink {
 public:
  // `disk` and `plan` must outlive it.
  PartialCheckpoint(Disk& disk, const Plan& plan, WriterEpoch epoch)
      : disk_(disk), plan_(plan), epoch_(std::move(epoch)), format_(CheckpointFormatOf(plan)) {}

  absl::Status Begin(uint64_t steps_done) override;
  absl::Status Write(const Tile& tile, const float* weights,
                     std::span<std::byte* const> states) override;
  absl::Status Finish() override;

 private:
  Disk& disk_;
  const Plan& plan_;
  const WriterEpoch epoch_;
  const CheckpointFormat format_;
  std::optional<CheckpointWriter> writer_;
};

}  // namespace waferstream
