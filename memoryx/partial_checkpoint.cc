#include "memoryx/partial_checkpoint.h"

#include <vector>

#include "base/status.h"

namespace waferstream {

CheckpointFormat CheckpointFormatOf(const Plan& plan) {
  return {plan.parameters, OptimizerStates(plan.job.training().optimizer())};
}

absl::Status PartialCheckpoint::Begin(uint64_t steps_done) {
  const std::string folder = EpochFolder(plan_.job.checkpoint().dir(), epoch_);
  ASSIGN_OR_RETURN(writer_, CheckpointWriter::Open(disk_, format_, StepFolder(folder, steps_done)));
  return absl::OkStatus();
}

absl::Status PartialCheckpoint::Write(const Tile& tile, const float* weights,
                                      std::span<float* const> states) {
  const std::vector<const float*> read_only(states.begin(), states.end());
  return writer_->Write(tile.parameter, {tile.first_row, tile.rows}, weights, read_only);
}

absl::Status PartialCheckpoint::Finish() {
  RETURN_IF_ERROR(writer_->Finish());
  writer_.reset();  // closes the files
  return absl::OkStatus();
}

}  // namespace waferstream
