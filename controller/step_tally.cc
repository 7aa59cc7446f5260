#include "controller/step_tally.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/status.h"

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

PartedValues::PartedValues(const char* what, int processes, size_t size, Copies copies)
    : what_(what),
      copies_(copies),
      outstanding_(processes),
      delivered_(processes),
      present_(size),
      value_(size, 0.0) {}

absl::Status PartedValues::Add(int process, const google::protobuf::RepeatedField<uint32_t>& index,
                               const google::protobuf::RepeatedField<double>& value) {
  WS_CHECK(process >= 0 && process < static_cast<int>(delivered_.size()));
  if (delivered_[process]) return absl::OkStatus();
  if (index.size() != value.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("a report has ", index.size(), " of ", what_, " but ", value.size(), " sums"));
  }
  // Checked before anything is kept, so that a refused report leaves no trace.
  std::vector<bool> merged = present_;
  for (int k = 0; k < index.size(); ++k) {
    const uint32_t i = index[k];
    if (i >= merged.size()) {
      return absl::InvalidArgumentError(absl::StrCat(what_, " ", i, " does not exist"));
    }
    const bool again = merged[i];
    merged[i] = true;
    if (!again) continue;
    if (copies_ == Copies::kNone || !present_[i]) {
      return absl::InvalidArgumentError(absl::StrCat(what_, " ", i, " came twice"));
    }
    if (std::bit_cast<uint64_t>(value_[i]) != std::bit_cast<uint64_t>(value[k])) {
      return absl::DataLossError(absl::StrCat("the copies of ", what_, " ", i, " disagree"));
    }
  }
  present_ = std::move(merged);
  for (int k = 0; k < index.size(); ++k) value_[index[k]] = value[k];
  delivered_[process] = true;
  --outstanding_;
  return absl::OkStatus();
}

absl::StatusOr<double> PartedValues::Sum(const char* quantity) const {
  WS_CHECK(complete());
  double sum = 0;
  for (size_t i = 0; i < value_.size(); ++i) {
    if (!present_[i]) {
      return absl::InvalidArgumentError(absl::StrCat(what_, " ", i, " is missing"));
    }
    sum += value_[i];
    if (!std::isfinite(sum)) {
      return absl::OutOfRangeError(absl::StrCat(quantity, " is not finite in ", what_, " ", i));
    }
  }
  return sum;
}

StepTally::StepTally(const Plan& plan, uint64_t step)
    : step_(step),
      tokens_(static_cast<double>(plan.job.training().global_batch()) * plan.job.model().context()),
      clip_(plan.job.training().clip()),
      losses_("micro-batch", plan.shape.wafers, plan.leaves),
      squares_("tile", plan.shape.memoryx, plan.tiles.size(), PartedValues::Copies::kMustAgree) {}

absl::Status StepTally::Name(const absl::Status& status) const {
  return Prefix(absl::StrCat("step ", step_, ": "), status);
}

absl::Status StepTally::Add(int wafer, const WaferStep& report) {
  RETURN_IF_ERROR(Name(CheckStep(report.step(), step_)));
  return Name(losses_.Add(wafer, report.micro_batch(), report.loss_sum()));
}

absl::Status StepTally::Add(int memoryx, const GradientsReady& report) {
  RETURN_IF_ERROR(Name(CheckStep(report.step(), step_)));
  return Name(squares_.Add(memoryx, report.tile(), report.square_sum()));
}

absl::StatusOr<StepResult> StepTally::Result() const {
  const absl::StatusOr<double> loss_sum = losses_.Sum("loss");
  if (!loss_sum.ok()) return Name(loss_sum.status());
  const absl::StatusOr<double> square_sum = squares_.Sum("gradient");
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
      losses_("micro-batch", plan.shape.wafers, plan.validation_leaves) {}

absl::Status ValidationTally::Name(const absl::Status& status) const {
  return Prefix(absl::StrCat("validation after step ", step_, ": "), status);
}

absl::Status ValidationTally::Add(int wafer, const WaferValidation& report) {
  RETURN_IF_ERROR(Name(CheckStep(report.step(), step_)));
  return Name(losses_.Add(wafer, report.micro_batch(), report.loss_sum()));
}

absl::StatusOr<double> ValidationTally::Result() const {
  const absl::StatusOr<double> loss_sum = losses_.Sum("loss");
  if (!loss_sum.ok()) return Name(loss_sum.status());
  return *loss_sum / tokens_;
}

}  // namespace waferstream
