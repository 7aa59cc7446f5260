// Adds up what the nodes report about one step, so that it can be committed.
//
// Reports come in any order; the sums are taken in leaf order and tile order once all are here, so
// the result has the same bits however the work was spread and whoever reported first. A process
// reports once a step; the same process again is a duplicate and ignored.
//
// Pure: no clock, thread or I/O. Not thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "plan/plan.h"
#include "proto/node.pb.h"

namespace waferstream {

// One value for every index in [0, size), delivered in parts by `processes` processes. `what` names
// an index in messages, e.g. "micro-batch". With Copies::kMustAgree several processes may deliver
// an index, with the same bits.
class PartedValues {
 public:
  enum class Copies { kNone, kMustAgree };
  PartedValues(const char* what, int processes, size_t size, Copies copies = Copies::kNone);

  // What `process` delivers: value[i] is that of index[i]. Ignored when `process` has delivered
  // before. INVALID_ARGUMENT: lists of two lengths, an unknown index, one that is already here.
  // DATA_LOSS: copies disagree.
  absl::Status Add(int process, const google::protobuf::RepeatedField<uint32_t>& index,
                   const google::protobuf::RepeatedField<double>& value);

  // Whether every process has delivered.
  bool complete() const { return outstanding_ == 0; }

  // The sum in index order, once complete. INVALID_ARGUMENT: nobody delivered some index.
  // OUT_OF_RANGE: `quantity` is not finite; the message names the first index where it is not.
  absl::StatusOr<double> Sum(const char* quantity) const;

 private:
  const char* what_;
  Copies copies_;
  int outstanding_;
  std::vector<bool> delivered_;  // by process
  std::vector<bool> present_;    // by index
  std::vector<double> value_;
};

// What a step is committed with.
struct StepResult {
  double loss = 0;         // mean over all tokens of the global batch, nats
  double norm = 0;         // of the unclipped gradient, over all parameters
  double clip_factor = 1;  // multiplies every gradient
};

// Statuses name the step: "step 12: loss is not finite in micro-batch 3".
class StepTally {
 public:
  StepTally(const Plan& plan, uint64_t step);

  // INVALID_ARGUMENT: the report cannot be true (another step; an unknown, doubled or contradictory
  // micro-batch or tile). Nothing of it is kept.
  absl::Status Add(int wafer, const WaferStep& report);
  absl::Status Add(int memoryx, const GradientsReady& report);

  // Whether all wafers and all MemoryX processes have reported.
  bool complete() const { return losses_.complete() && squares_.complete(); }

  // Once complete. INVALID_ARGUMENT: a micro-batch or tile is missing. OUT_OF_RANGE: not finite.
  absl::StatusOr<StepResult> Result() const;

 private:
  absl::Status Name(const absl::Status& status) const;  // puts the step in front

  uint64_t step_;
  double tokens_;
  double clip_;
  PartedValues losses_;   // by micro-batch
  PartedValues squares_;  // by tile
};

// The same for one validation, which has no gradients.
class ValidationTally {
 public:
  // `step`: the step after which it is taken.
  ValidationTally(const Plan& plan, uint64_t step);

  absl::Status Add(int wafer, const WaferValidation& report);
  bool complete() const { return losses_.complete(); }
  // The mean loss over all validation tokens, nats.
  absl::StatusOr<double> Result() const;

 private:
  absl::Status Name(const absl::Status& status) const;

  uint64_t step_;
  double tokens_;
  PartedValues losses_;
};

}  // namespace waferstream
