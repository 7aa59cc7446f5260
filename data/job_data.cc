#include "data/job_data.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "plan/job_kind.h"

namespace waferstream {
namespace {

constexpr char kTrain[] = "data.train";
constexpr char kValidation[] = "data.validation";

absl::Status InField(const char* field, const absl::Status& status) {
  if (status.ok()) return status;
  const std::string message = absl::StrCat(field, ": ", status.message());
  return absl::IsUnavailable(status) ? absl::UnavailableError(message)
                                     : absl::InvalidArgumentError(message);
}

absl::StatusOr<std::shared_ptr<const TokenFile>> OpenFor(const JobSpec& job,
                                                         const std::string& path,
                                                         OpenTokenFiles& files) {
  const ModelSpec& model = job.model();
  ASSIGN_OR_RETURN(std::shared_ptr<const TokenFile> file, files.Open(path, model.vocab()));
  RETURN_IF_ERROR(file->Samples(model.context()).status());
  RETURN_IF_ERROR(file->CheckVocabulary(model.vocab()));
  if (job.data().isolate_documents() && !file->end_of_text().has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path,
                     ": does not say which token ends a document, which "
                     "data.isolate_documents needs; `waferctl data prepare` writes files that do"));
  }
  return file;
}

// A wafer knows one token that ends a document of the training.
absl::Status CheckSameEnd(const std::vector<std::shared_ptr<const TokenFile>>& files) {
  for (const auto& file : files) {
    if (file->end_of_text() == files[0]->end_of_text()) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        kTrain, ": ", file->path(), ": token ", *file->end_of_text(), " ends a document there, ",
        *files[0]->end_of_text(), " in ", files[0]->path()));
  }
  return absl::OkStatus();
}

std::string Describe(const DataContent& content) {
  return absl::StrCat(content.bytes(), " bytes with xxh3_128 ", content.xxh3_128());
}

absl::Status CheckContent(const char* field, const TokenFile& file, const DataContent& recorded) {
  const DataContent& found = file.content();
  if (recorded.xxh3_128().empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ": ", file.path(), ": the job does not record what is in it"));
  }
  if (found.bytes() == recorded.bytes() && found.tokens() == recorded.tokens() &&
      found.xxh3_128() == recorded.xxh3_128()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": ", file.path(), " is another file than the job's: it has ",
                   Describe(found), ", the job's had ", Describe(recorded)));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const TokenFile>> OpenTokenFiles::Open(const std::string& path,
                                                                      uint32_t vocab) {
  const auto known = files_.find(path);
  if (known != files_.end() && known->second->IsAsOpened()) return known->second;
  files_.erase(path);
  ASSIGN_OR_RETURN(std::shared_ptr<const TokenFile> file, TokenFile::Open(disk_, path, vocab));
  files_[path] = file;
  return file;
}

absl::StatusOr<JobData> OpenJobData(const JobSpec& job, OpenTokenFiles& files) {
  JobData data;
  const auto open = [&](const char* field, const std::string& path,
                        std::shared_ptr<const TokenFile>& into) {
    auto file = OpenFor(job, path, files);
    if (!file.ok()) return InField(field, file.status());
    into = *std::move(file);
    return absl::OkStatus();
  };
  if (!Evaluates(job) && job.data().train().empty()) {
    return absl::InvalidArgumentError(absl::StrCat(kTrain, ": is needed to train"));
  }
  for (const std::string& path : job.data().train()) {
    RETURN_IF_ERROR(open(kTrain, path, data.train.emplace_back()));
  }
  if (job.data().isolate_documents()) RETURN_IF_ERROR(CheckSameEnd(data.train));
  if (job.data().validation().empty()) return data;
  RETURN_IF_ERROR(open(kValidation, job.data().validation(), data.validation));
  return data;
}

absl::Status RecordContent(Disk& disk, JobSpec& job) {
  OpenTokenFiles files(disk);
  ASSIGN_OR_RETURN(const JobData data, OpenJobData(job, files));
  job.mutable_data()->clear_train_content();
  for (const auto& file : data.train) *job.mutable_data()->add_train_content() = file->content();
  job.mutable_data()->clear_validation_content();
  if (data.validation == nullptr) return absl::OkStatus();
  *job.mutable_data()->mutable_validation_content() = data.validation->content();
  return absl::OkStatus();
}

absl::StatusOr<JobData> OpenRecorded(const JobSpec& job, OpenTokenFiles& files) {
  ASSIGN_OR_RETURN(JobData data, OpenJobData(job, files));
  for (size_t i = 0; i < data.train.size(); ++i) {
    const int index = static_cast<int>(i);
    const bool recorded = index < job.data().train_content_size();
    RETURN_IF_ERROR(CheckContent(kTrain, *data.train[i],
                                 recorded ? job.data().train_content(index) : DataContent()));
  }
  if (data.validation == nullptr) return data;
  RETURN_IF_ERROR(CheckContent(kValidation, *data.validation, job.data().validation_content()));
  return data;
}

}  // namespace waferstream
