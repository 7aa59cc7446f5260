// The controller's part in a simulated job: adds up the reports of a step, commits it, seals
// checkpoints, and keeps what a job's status would show. Nodes never fail here, so there is no
// membership and no recovery.
//
// Single-threaded.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/step_tally.h"
#include "plan/plan.h"
#include "proto/node.pb.h"

namespace waferstream {

// What came of a job.
struct JobOutcome {
  std::vector<double> losses;             // one a step done here
  std::vector<double> validation_losses;  // one a validation
  std::vector<double> norms;              // of the unclipped gradient, one a step
  std::string checkpoint;                 // path of the last one, and its hashes
  std::string weights_hash;
  std::string optimizer_hash;
  std::vector<uint32_t> generated;
  // Of verified micro-batches, by step and micro-batch: what each wafer that computed it reported.
  std::map<std::pair<uint64_t, uint32_t>, std::vector<uint64_t>> hashes;
  std::vector<size_t> sram_peak_bytes;   // by wafer
  std::vector<TrafficCounters> memoryx;  // totals, by process
  std::vector<TrafficCounters> swarmx;
  std::vector<TrafficCounters> wafers;
};

class SimController {
 public:
  using Commit = std::function<void(const CommitRequest&)>;
  using Seal = std::function<absl::StatusOr<SealReply>(const SealRequest&)>;

  // The plan outlives the controller.
  SimController(const Plan& plan, uint32_t epoch, uint64_t start_step, Commit commit, Seal seal);

  // INVALID_ARGUMENT: a report that cannot be true. Else what Seal or a node failed with.
  absl::Status OnReport(const Endpoint& from, const NodeReport& report);

  // Whether everything the plan asks for has happened: all steps committed, validations taken and
  // checkpoints sealed, or all tokens generated.
  bool done() const;
  const JobOutcome& outcome() const { return outcome_; }

 private:
  absl::Status OnGradients(int process, const GradientsReady& report);
  absl::Status OnWaferStep(int wafer, const WaferStep& report);
  absl::Status OnValidation(int wafer, const WaferValidation& report);
  absl::Status OnCheckpoint(const CheckpointWritten& report);
  absl::Status CommitIfComplete();

  const Plan& plan_;
  const uint32_t epoch_;
  const Commit commit_;
  const Seal seal_;
  uint64_t step_;                                    // the next one to commit
  StepTally tally_;                                  // of step_
  std::map<uint64_t, ValidationTally> validations_;  // not yet complete, by step
  std::map<uint64_t, int> written_;                  // by steps done: MemoryX processes
  size_t validations_due_ = 0;
  uint64_t sealed_steps_ = 0;  // of the last checkpoint
  JobOutcome outcome_;
};

}  // namespace waferstream
