#include "controller/step_tally.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/exact_sum.h"
#include "base/status.h"
#include "plan/shard_squares.h"

namespace waferstream {
namespace {

absl::Status CheckStep(uint64_t reported, uint64_t expected) {
  if (reported == expected) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("a report says step ", reported));
}

absl::Status Prefix(const std::string& prefix, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(prefix, status.message()));
}

}  // namespace

PartedLosses::PartedLosses(int processes, size_t size)
    : outstanding_(processes), delivered_(processes), present_(size), value_(size, 0.0) {}

absl::Status PartedLosses::Add(int process, const google::protobuf::RepeatedField<uint32_t>& index,
                               const google::protobuf::RepeatedField<double>& value) {
  WS_CHECK(process >= 0 && process < static_cast<int>(delivered_.size()));
  if (delivered_[process]) return absl::OkStatus();
  if (index.size() != value.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("a report has ", index.size(), " micro-batches but ", value.size(), " sums"));
  }
  // Checked before anything is kept, so that a refused report leaves no trace.
  std::vector<bool> merged = present_;
  for (const uint32_t i : index) {
    if (i >= merged.size()) {
      return absl::InvalidArgumentError(absl::StrCat("micro-batch ", i, " does not exist"));
    }
    if (merged[i])
      return absl::InvalidArgumentError(absl::StrCat("micro-batch ", i, " came twice"));
    merged[i] = true;
  }
  present_ = std::move(merged);
  for (int k = 0; k < index.size(); ++k) value_[index[k]] = value[k];
  delivered_[process] = true;
  --outstanding_;
  return absl::OkStatus();
}

absl::StatusOr<double> PartedLosses::Sum() const {
  WS_CHECK(complete());
  double sum = 0;
  for (size_t i = 0; i < value_.size(); ++i) {
    if (!present_[i])
      return absl::InvalidArgumentError(absl::StrCat("micro-batch ", i, " is missing"));
    sum += value_[i];
    if (!std::isfinite(sum)) {
      return absl::OutOfRangeError(absl::StrCat("loss is not finite in micro-batch ", i));
    }
  }
  return sum;
}

ShardedSquares::ShardedSquares(int processes, size_t shards)
    : outstanding_(processes), delivered_(processes), shards_(shards) {}

absl::Status ShardedSquares::Check(const ShardSquares& squares) const {
  if (squares.shard() >= shards_.size()) {
    return absl::InvalidArgumentError(absl::StrCat("shard ", squares.shard(), " does not exist"));
  }
  RETURN_IF_ERROR(SumOf(squares).status());
  const std::optional<ShardSquares>& other = shards_[squares.shard()];
  if (!other.has_value() || other->SerializeAsString() == squares.SerializeAsString()) {
    return absl::OkStatus();
  }
  return absl::DataLossError(absl::StrCat("the copies of shard ", squares.shard(), " disagree"));
}

absl::Status ShardedSquares::Add(int process,
                                 const google::protobuf::RepeatedPtrField<ShardSquares>& shards) {
  WS_CHECK(process >= 0 && process < static_cast<int>(delivered_.size()));
  if (delivered_[process]) return absl::OkStatus();
  std::set<uint32_t> seen;
  for (const ShardSquares& squares : shards) {
    RETURN_IF_ERROR(Check(squares));
    if (seen.insert(squares.shard()).second) continue;
    return absl::InvalidArgumentError(absl::StrCat("shard ", squares.shard(), " came twice"));
  }
  for (const ShardSquares& squares : shards) shards_[squares.shard()] = squares;
  delivered_[process] = true;
  --outstanding_;
  return absl::OkStatus();
}

absl::StatusOr<double> ShardedSquares::Sum() const {
  WS_CHECK(complete());
  ExactSum sum;
  std::optional<uint32_t> non_finite;
  for (size_t i = 0; i < shards_.size(); ++i) {
    if (!shards_[i].has_value()) {
      return absl::InvalidArgumentError(absl::StrCat("shard ", i, " is missing"));
    }
    sum.Add(*SumOf(*shards_[i]));
    if (!shards_[i]->has_non_finite_tile()) continue;
    non_finite = std::min(non_finite.value_or(UINT32_MAX), shards_[i]->non_finite_tile());
  }
  if (non_finite.has_value()) {
    return absl::OutOfRangeError(absl::StrCat("gradient is not finite in tile ", *non_finite));
  }
  if (std::isfinite(sum.Rounded())) return sum.Rounded();
  return absl::OutOfRangeError("the gradient's norm is not finite");
}

StepTally::StepTally(const Plan& plan, uint64_t step)
    : step_(step),
      tokens_(static_cast<double>(plan.job.training().global_batch()) * plan.job.model().context()),
      clip_(plan.job.training().clip()),
      losses_(plan.shape.wafers, plan.leaves),
      squares_(plan.shape.memoryx, plan.shape.shards.size()) {}

absl::Status StepTally::Name(const absl::Status& status) const {
  return Prefix(absl::StrCat("step ", step_, ": "), status);
}

absl::Status StepTally::Add(int wafer, const WaferStep& report) {
  RETURN_IF_ERROR(Name(CheckStep(report.step(), step_)));
  return Name(losses_.Add(wafer, report.micro_batch(), report.loss_sum()));
}

absl::Status StepTally::Add(int memoryx, const GradientsReady& report) {
  RETURN_IF_ERROR(Name(CheckStep(report.step(), step_)));
  return Name(squares_.Add(memoryx, report.shards()));
}

absl::StatusOr<StepResult> StepTally::Result() const {
  const absl::StatusOr<double> loss_sum = losses_.Sum();
  if (!loss_sum.ok()) return Name(loss_sum.status());
  const absl::StatusOr<double> square_sum = squares_.Sum();
  if (!square_sum.ok()) return Name(square_sum.status());
  StepResult result;
  result.loss = *loss_sum / tokens_;
  result.norm = std::sqrt(*square_sum);
  if (clip_ > 0) result.clip_factor = std::min(1.0, clip_ / (result.norm + 1e-6));
  return result;
}

ValidationTally::ValidationTally(const Plan& plan, uint64_t step)
    : step_(step),
      tokens_(static_cast<double>(plan.validation_sequences) * plan.job.model().context()),
      losses_(plan.shape.wafers, plan.validation_leaves) {}

absl::Status ValidationTally::Name(const absl::Status& status) const {
  return Prefix(absl::StrCat("validation after step ", step_, ": "), status);
}

absl::Status ValidationTally::Add(int wafer, const WaferValidation& report) {
  RETURN_IF_ERROR(Name(CheckStep(report.step(), step_)));
  return Name(losses_.Add(wafer, report.micro_batch(), report.loss_sum()));
}

absl::StatusOr<double> ValidationTally::Result() const {
  const absl::StatusOr<double> loss_sum = losses_.Sum();
  if (!loss_sum.ok()) return Name(loss_sum.status());
  return *loss_sum / tokens_;
}

}  // namespace waferstream
