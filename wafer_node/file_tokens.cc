#include "wafer_node/file_tokens.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace waferstream {

absl::StatusOr<std::unique_ptr<FileTokens>> FileTokens::Open(const Plan& plan,
                                                             OpenTokenFiles& files) {
  ASSIGN_OR_RETURN(const JobData data, OpenRecorded(plan.job, files));
  const uint64_t seed = plan.job.training().seed();
  Split training, validation;
  if (data.train != nullptr) {
    ASSIGN_OR_RETURN(const int64_t samples, data.train->Samples(plan.job.model().context()));
    training.file = data.train;
    training.order = std::make_unique<SampleOrder>(plan.job.data().shuffle(), seed, samples);
  }
  if (data.validation != nullptr) {
    ASSIGN_OR_RETURN(const int64_t all, data.validation->Samples(plan.job.model().context()));
    // Validation is a measurement: always the same sequences. All are taken in the file's order, a
    // few from all over the file.
    const Shuffle shuffle = plan.validation_sequences < all ? SHUFFLE_EPOCH : SHUFFLE_NONE;
    validation.file = data.validation;
    validation.order = std::make_unique<SampleOrder>(shuffle, seed, all, Purpose::kValidation);
  }
  return std::unique_ptr<FileTokens>(new FileTokens(std::move(training), std::move(validation)));
}

FileTokens::FileTokens(Split training, Split validation)
    : training_(std::move(training)), validation_(std::move(validation)) {}

absl::Status FileTokens::CopyTraining(uint64_t n, int64_t context, int32_t* ids, int32_t* targets) {
  return Copy("data.train", training_, n, context, ids, targets);
}

absl::Status FileTokens::CopyValidation(uint64_t n, int64_t context, int32_t* ids,
                                        int32_t* targets) {
  return Copy("data.validation", validation_, n, context, ids, targets);
}

absl::Status FileTokens::Copy(const char* field, const Split& split, uint64_t n, int64_t context,
                              int32_t* ids, int32_t* targets) {
  sample_.resize(context + 1);
  const absl::Status read = split.file->CopyTokens(split.order->At(n) * context, sample_);
  if (!read.ok()) return absl::Status(read.code(), absl::StrCat(field, ": ", read.message()));
  std::copy_n(sample_.begin(), context, ids);
  std::copy_n(sample_.begin() + 1, context, targets);
  return absl::OkStatus();
}

}  // namespace waferstream
