#include "wafer_node/file_tokens.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/status.h"

namespace waferstream {

absl::StatusOr<FileTokens::Split> FileTokens::OpenSplit(const JobSpec& job, const std::string& path,
                                                        Shuffle shuffle) {
  Split split;
  ASSIGN_OR_RETURN(split.file, TokenFile::Open(path));
  RETURN_IF_ERROR(split.file->CheckVocabulary(job.model().vocab()));
  ASSIGN_OR_RETURN(const int64_t samples, split.file->Samples(job.model().context()));
  split.order = std::make_unique<SampleOrder>(shuffle, job.training().seed(), samples);
  return split;
}

absl::StatusOr<std::unique_ptr<FileTokens>> FileTokens::Open(const JobSpec& job) {
  ASSIGN_OR_RETURN(Split training, OpenSplit(job, job.data().train(), job.data().shuffle()));
  Split validation;
  if (!job.data().validation().empty()) {
    // Validation is a measurement: always the same sequences, in the order of the file.
    ASSIGN_OR_RETURN(validation, OpenSplit(job, job.data().validation(), SHUFFLE_NONE));
  }
  return std::unique_ptr<FileTokens>(new FileTokens(std::move(training), std::move(validation)));
}

FileTokens::FileTokens(Split training, Split validation)
    : training_(std::move(training)), validation_(std::move(validation)) {}

void FileTokens::CopyTraining(uint64_t n, int64_t context, int32_t* ids, int32_t* targets) {
  Copy(training_, n, context, ids, targets);
}

void FileTokens::CopyValidation(uint64_t n, int64_t context, int32_t* ids, int32_t* targets) {
  Copy(validation_, n, context, ids, targets);
}

void FileTokens::Copy(const Split& split, uint64_t n, int64_t context, int32_t* ids,
                      int32_t* targets) {
  sample_.resize(context + 1);
  split.file->CopyTokens(split.order->At(n) * context, sample_);
  std::copy_n(sample_.begin(), context, ids);
  std::copy_n(sample_.begin() + 1, context, targets);
}

}  // namespace waferstream
