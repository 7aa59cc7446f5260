// The production CheckpointSink: writes into the partial folder of job.checkpoint.dir.
#pragma once

#include <optional>
#include <string>

#include "checkpoint/checkpoint_writer.h"
#include "memoryx/checkpoint_sink.h"

namespace waferstream {

// What the checkpoints of a training job hold.
CheckpointFormat CheckpointFormatOf(const Plan& plan);

// All calls from one thread; destroyed when no call is running.
class PartialCheckpoint final : public CheckpointSink {
 public:
  // `plan` must outlive it.
  explicit PartialCheckpoint(const Plan& plan) : plan_(plan), format_(CheckpointFormatOf(plan)) {}

  absl::Status Begin(uint64_t steps_done) override;
  absl::Status Write(const Tile& tile, const float* weights,
                     std::span<float* const> states) override;
  absl::Status Finish() override;

 private:
  const Plan& plan_;
  const CheckpointFormat format_;
  std::optional<CheckpointWriter> writer_;
};

}  // namespace waferstream
