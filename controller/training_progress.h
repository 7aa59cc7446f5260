// How far a training run is: the step being tallied, the validation and the checkpoints on their
// way.
//
//   all reports of step t -> commit record durable -> Commit to every MemoryX node
//     -> (validation after step t) -> reports of step t + 1 ...
//   CheckpointWritten of all MemoryX nodes -> SealCheckpoint on the first one -> hashes
//
// A checkpoint is written and sealed while the next steps run. One that fails is an event; only the
// last one matters more. A status that is returned ends the epoch with that line:
//   OUT_OF_RANGE        a number is not finite: bad()
//   ABORTED             wafers disagree about a micro-batch: dispute()
//   RESOURCE_EXHAUSTED  the last checkpoint could not be written
//   UNAVAILABLE         the commit could not be recorded
//   anything else       the report cannot be true
//
// An epoch that diagnoses, or settles a dispute, does one step for its answer and never commits it:
// counted() says that the answer is there. Pure; not thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/epoch_end.h"
#include "controller/epoch_terms.h"
#include "controller/membership.h"
#include "controller/run_statistics.h"
#include "controller/run_turn.h"
#include "controller/step_tally.h"
#include "plan/plan.h"

namespace waferstream {

class TrainingProgress {
 public:
  // All references outlive this; `status` is kept up to date.
  TrainingProgress(const Plan& plan, const EpochTerms& terms, JobStatus& status,
                   RunStatistics& statistics);

  absl::Status OnReport(const PlacedProcess& from, const NodeReport& report, RunTurn& turn);

  // The record that turn.commit asked for is on disk, or could not be written.
  absl::Status OnCommitDurable(const absl::Status& stored, RunTurn& turn);

  absl::Status OnSealed(uint64_t steps_done, const absl::StatusOr<SealReply>& reply, RunTurn& turn);

  // The record that turn.confirm asked about is on disk, or could not be written.
  absl::Status OnRecordDurable(const absl::Status& stored, RunTurn& turn);

  // 0-based: the step whose reports are being collected.
  uint64_t step() const { return step_; }

  // The last step is committed, validated and in a sealed checkpoint.
  bool done() const;
  // The last commit of this epoch; nullopt: there was none.
  const std::optional<CommitRecord>& committed() const { return committed_; }
  // Steps done at the last validation of this epoch; 0: there was none.
  uint64_t validated_steps() const { return validated_steps_; }
  bool counted() const { return counted_; }
  const BadNumbers& bad() const { return bad_; }
  const Dispute& dispute() const { return dispute_; }

 private:
  struct Checkpoint {
    double loss = 0;
    std::vector<bool> written;  // by MemoryX process
    bool whole() const { return std::find(written.begin(), written.end(), false) == written.end(); }
  };

  absl::Status OnWaferStep(const PlacedProcess& from, const WaferStep& report, RunTurn& turn);
  absl::Status OnGradients(const PlacedProcess& from, const GradientsReady& report, RunTurn& turn);
  absl::Status OnValidation(const PlacedProcess& from, const WaferValidation& report,
                            RunTurn& turn);
  absl::Status OnCheckpoint(const PlacedProcess& from, const CheckpointWritten& report,
                            RunTurn& turn);
  // Whether a report of `step` is for the tally; false: it is about a step long committed.
  absl::StatusOr<bool> IsCurrent(uint64_t step) const;
  void Inspect(const PlacedProcess& from, const WaferStep& report);
  absl::Status CheckVotes();
  absl::Status CommitIfComplete(RunTurn& turn);
  void SendCommit(RunTurn& turn) const;
  absl::Status ExpectAfterCommit();
  // Sealing removes older checkpoints. So the next one is sealed only when the last is on record:
  // whenever this controller ends, the checkpoint that it remembers is there.
  void SealNext(RunTurn& turn);
  absl::Status CheckpointFailed(uint64_t steps_done, const std::string& why, RunTurn& turn);

  const Plan& plan_;
  const EpochTerms& terms_;
  JobStatus& status_;
  RunStatistics& statistics_;
  uint64_t step_;
  std::optional<StepTally> tally_;          // of step_; none once all steps are committed
  std::optional<CommitRecord> committing_;  // being made durable
  std::optional<ValidationTally> validation_;
  std::map<uint64_t, Checkpoint> checkpoints_;  // by steps_done; not yet sealed
  bool sealing_ = false;  // one is being sealed, or that it was is not on record yet
  HashVotes votes_;       // of step_
  std::optional<uint32_t> bad_micro_batch_;  // of step_: the first whose loss is not finite
  BadNumbers bad_;
  Dispute dispute_;
  bool counted_ = false;
  std::optional<CommitRecord> committed_;
  uint64_t validated_steps_ = 0;
};

}  // namespace waferstream
