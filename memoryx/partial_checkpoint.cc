#include "memoryx/partial_checkpoint.h"

#include "base/status.h"
#include "plan/optimizer_state.h"

namespace waferstream {

CheckpointFormat CheckpointFormatOf(const Plan& plan) { return {plan.parameters, StatesOf(plan)}; }

absl::Status PartialCheckpoint::Begin(uint64_t steps_done) {
  const std::string folder = EpochFolder(plan_.job.checkpoint().dir(), epoch_);
  ASSIGN_OR_RETURN(writer_, CheckpointWriter::Open(disk_, format_, StepFolder(folder, steps_done)));
  return absl::OkStatus();
}

absl::Status PartialCheckpoint::Write(const Tile& tile, const float* weights,
                                      std::span<std::byte* const> states) {
  return writer_->Write(tile, weights, states);
}

absl::Status PartialCheckpoint::Finish() {
  RETURN_IF_ERROR(writer_->Finish());
  writer_.reset();  // closes the files
  return absl::OkStatus();
}

}  // namespace waferstream
