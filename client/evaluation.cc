#include "client/evaluation.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "base/worker_pool.h"
#include "checkpoint/manifest.h"
#include "checkpoint/origin.h"
#include "checkpoint/posix_disk.h"
#include "client/forward_job.h"
#include "client/table.h"
#include "data/token_file.h"

namespace waferstream {
namespace {

// A stream of the weights serves as many micro-batches; more would save little and take memory.
constexpr uint32_t kResidentMax = 8;

// As the job that wrote the checkpoint did, if the file says what ends a document. Whether the file
// can be read is found out later.
bool IsolatesDocuments(const JobSpec& writer, const std::string& path) {
  if (!writer.data().isolate_documents()) return false;
  const auto header = ReadTokenHeader(PosixDisk(), path);
  return header.ok() && header->has_value() && (*header)->end_of_text != TokenFileHeader::kNoToken;
}

}  // namespace

absl::StatusOr<JobSpec> EvaluationJob(const EvaluationRequest& request) {
  ASSIGN_OR_RETURN(JobSpec job, ForwardJob("evaluate", request.checkpoint));
  if (request.context.has_value()) job.mutable_model()->set_context(*request.context);
  job.mutable_data()->set_validation(request.data);
  TrainingSpec* training = job.mutable_training();
  training->set_micro_batch(request.micro_batch);
  training->set_global_batch(kResidentMax * request.micro_batch);
  training->set_precision(request.precision);
  // In tiles of the job that wrote it, if one did, the loss has that job's bits.
  ASSIGN_OR_RETURN(const std::optional<Manifest> origin,
                   ReadOrigin(PosixDisk(), request.checkpoint));
  if (origin.has_value()) {
    training->set_tile_elements(origin->job.training().tile_elements());
    job.mutable_data()->set_isolate_documents(IsolatesDocuments(origin->job, request.data));
  }
  job.mutable_cluster()->mutable_wafer()->set_kernel_threads(UsableCpus());
  return job;
}

absl::StatusOr<JobSpec> SequencesJob(const EvaluationRequest& request) {
  EvaluationRequest one_by_one = request;
  one_by_one.micro_batch = 1;
  ASSIGN_OR_RETURN(JobSpec job, EvaluationJob(one_by_one));
  job.mutable_data()->set_each_sequence(true);
  return job;
}

absl::StatusOr<uint64_t> TokensMeasured(Disk& disk, const JobSpec& job) {
  const uint32_t context = job.model().context();
  ASSIGN_OR_RETURN(const auto file,
                   TokenFile::Open(disk, job.data().validation(), job.model().vocab()));
  ASSIGN_OR_RETURN(const int64_t samples, file->Samples(context));
  return file->CountTargets(1, samples * context);
}

Json EvaluationJson(const JobStatus& status, uint64_t tokens) {
  const bool measured = status.has_val_loss();
  return {{"job", status.job_id()},
          {"state", JobState_Name(status.state())},
          {"reason", status.reason()},
          {"loss", measured ? Json(status.val_loss()) : Json(nullptr)},
          {"perplexity", measured ? Json(std::exp(status.val_loss())) : Json(nullptr)},
          {"tokens", tokens}};
}

std::string EvaluationTable(const JobStatus& status, uint64_t tokens) {
  std::vector<std::pair<std::string, std::string>> rows;
  if (status.has_val_loss()) {
    rows.emplace_back("loss", absl::StrFormat("%.6f", status.val_loss()));
    rows.emplace_back("perplexity", absl::StrFormat("%.6g", std::exp(status.val_loss())));
    rows.emplace_back("tokens", absl::StrCat(tokens));
  }
  return RenderPairs(rows);
}

}  // namespace waferstream
