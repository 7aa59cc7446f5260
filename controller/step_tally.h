// Adds up what the nodes report about one step, so that it can be committed.
//
// Reports come in any order; losses are added in leaf order once all are here, and squares without
// rounding, so the result has the same bits however the work was spread and whoever reported first.
// A process reports once a step; the same process again is a duplicate and ignored.
//
// Pure: no clock, thread or I/O. Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "plan/plan.h"
#include "proto/node.pb.h"

namespace waferstream {

// The loss of every micro-batch in [0, size), delivered in parts by `processes` processes.
class PartedLosses {
 public:
  PartedLosses(int processes, size_t size);

  // What `process` delivers: value[i] is that of index[i]. Ignored when `process` has delivered
  // before. INVALID_ARGUMENT: lists of two lengths, an unknown index, one that is already here.
  absl::Status Add(int process, const google::protobuf::RepeatedField<uint32_t>& index,
                   const google::protobuf::RepeatedField<double>& value);

  // Whether every process has delivered.
  bool complete() const { return outstanding_ == 0; }

  // The sum in index order, once complete. INVALID_ARGUMENT: nobody delivered some index.
  // OUT_OF_RANGE: it is not finite; the message names the first index where it is not.
  absl::StatusOr<double> Sum() const;
  // Of every index, once Sum is there.
  const std::vector<double>& values() const { return value_; }

 private:
  int outstanding_;
  std::vector<bool> delivered_;  // by process
  std::vector<bool> present_;    // by index
  std::vector<double> value_;
};

// The gradient's squares, by shard; several processes may hold one, and must agree on its bits.
class ShardedSquares {
 public:
  ShardedSquares(int processes, size_t shards);

  // Ignored when `process` has delivered before. INVALID_ARGUMENT: an unknown shard, one that comes
  // twice, or what is no sum. DATA_LOSS: copies disagree.
  absl::Status Add(int process, const google::protobuf::RepeatedPtrField<ShardSquares>& shards);

  bool complete() const { return outstanding_ == 0; }

  // Once complete. INVALID_ARGUMENT: nobody delivered some shard. OUT_OF_RANGE: the gradient is not
  // finite; the message names the first tile where it is not.
  absl::StatusOr<double> Sum() const;

 private:
  absl::Status Check(const ShardSquares& squares) const;

  int outstanding_;
  std::vector<bool> delivered_;                      // by process
  std::vector<std::optional<ShardSquares>> shards_;  // by shard
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
  // micro-batch or shard). Nothing of it is kept. DATA_LOSS: copies of a shard disagree.
  absl::Status Add(int wafer, const WaferStep& report);
  absl::Status Add(int memoryx, const GradientsReady& report);

  // Whether all wafers and all MemoryX processes have reported.
  bool complete() const { return losses_.complete() && squares_.complete(); }

  // Once complete. INVALID_ARGUMENT: a micro-batch or shard is missing. OUT_OF_RANGE: not finite.
  absl::StatusOr<StepResult> Result() const;

 private:
  absl::Status Name(const absl::Status& status) const;  // puts the step in front

  uint64_t step_;
  double tokens_;
  double clip_;
  PartedLosses losses_;
  ShardedSquares squares_;
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
  // Of every micro-batch, nats, once there is a result.
  const std::vector<double>& losses() const { return losses_.values(); }

 private:
  absl::Status Name(const absl::Status& status) const;

  uint64_t step_;
  double tokens_;
  PartedLosses losses_;
};

}  // namespace waferstream
