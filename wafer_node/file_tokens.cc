#include "wafer_node/file_tokens.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "wafer_node/kernels/loss.h"

namespace waferstream {

absl::StatusOr<std::unique_ptr<FileTokens>> FileTokens::Open(const Plan& plan,
                                                             OpenTokenFiles& files) {
  ASSIGN_OR_RETURN(JobData data, OpenRecorded(plan.job, files));
  const uint64_t seed = plan.job.training().seed();
  const DataSpec& of_job = plan.job.data();
  const uint32_t context = plan.job.model().context();
  std::unique_ptr<MixtureOrder> training;
  std::unique_ptr<SampleOrder> validation;
  if (!data.train.empty()) {
    std::vector<int64_t> samples;
    for (const auto& file : data.train) {
      ASSIGN_OR_RETURN(samples.emplace_back(), file->Samples(context));
    }
    const std::vector<double> weights(of_job.weights().begin(), of_job.weights().end());
    training = std::make_unique<MixtureOrder>(of_job.shuffle(), seed, samples, weights);
  }
  if (data.validation != nullptr) {
    ASSIGN_OR_RETURN(const int64_t all, data.validation->Samples(context));
    // Validation is a measurement: always the same sequences. All are taken in the file's order, a
    // few from all over the file.
    const Shuffle shuffle = plan.validation_sequences < all ? SHUFFLE_EPOCH : SHUFFLE_NONE;
    validation = std::make_unique<SampleOrder>(shuffle, seed, all, Purpose::kValidation);
  }
  return std::unique_ptr<FileTokens>(
      new FileTokens(std::move(data), std::move(training), std::move(validation)));
}

FileTokens::FileTokens(JobData data, std::unique_ptr<MixtureOrder> training,
                       std::unique_ptr<SampleOrder> validation)
    : data_(std::move(data)), training_(std::move(training)), validation_(std::move(validation)) {}

absl::Status FileTokens::CopyTraining(uint64_t n, int64_t context, int32_t* ids, int32_t* targets) {
  const MixtureOrder::Place at = training_->At(n);
  return Copy("data.train", *data_.train[at.file], at.sample, context, ids, targets);
}

absl::Status FileTokens::CopyValidation(uint64_t n, int64_t context, int32_t* ids,
                                        int32_t* targets) {
  return Copy("data.validation", *data_.validation, validation_->At(n), context, ids, targets);
}

bool FileTokens::is_masked() const {
  const bool training = std::any_of(data_.train.begin(), data_.train.end(),
                                    [](const auto& file) { return file->is_masked(); });
  return training || (data_.validation != nullptr && data_.validation->is_masked());
}

int32_t FileTokens::end_of_text(bool of_validation) const {
  const TokenFile& file = of_validation ? *data_.validation : *data_.train[0];
  return file.end_of_text().has_value() ? static_cast<int32_t>(*file.end_of_text()) : -1;
}

absl::Status FileTokens::Copy(const char* field, const TokenFile& file, int64_t sample,
                              int64_t context, int32_t* ids, int32_t* targets) {
  sample_.resize(context + 1);
  const absl::Status read = file.CopyMarked(sample * context, sample_);
  if (!read.ok()) return absl::Status(read.code(), absl::StrCat(field, ": ", read.message()));
  for (int64_t i = 0; i < context; ++i) {
    const uint32_t next = sample_[i + 1];
    ids[i] = static_cast<int32_t>(file.IdOf(sample_[i]));
    targets[i] = file.IsTarget(next) ? static_cast<int32_t>(file.IdOf(next)) : kNoTarget;
  }
  return absl::OkStatus();
}

}  // namespace waferstream
