// The job that measures the loss of a checkpoint over a file of tokens, and what came of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "checkpoint/disk.h"
#include "client/output.h"
#include "proto/controller.pb.h"

namespace waferstream {

struct EvaluationRequest {
  std::string checkpoint;  // absolute
  std::string data;        // absolute
  Precision precision = F32;
  uint32_t micro_batch = 1;         // sequences
  std::optional<uint32_t> context;  // tokens of a sequence; none: the model's
};

// The job, with the model that the checkpoint says it holds, for one node of each role.
// INVALID_ARGUMENT: no such model.
absl::StatusOr<JobSpec> EvaluationJob(const EvaluationRequest& request);

// The job that gives the loss of every sequence of the file.
absl::StatusOr<JobSpec> SequencesJob(const EvaluationRequest& request);

// Tokens whose loss is measured: the targets of whole sequences, the token after each sequence
// being its last. Reads the job's file. INVALID_ARGUMENT: it cannot be read.
absl::StatusOr<uint64_t> TokensMeasured(Disk& disk, const JobSpec& job);

// Of a job that is done or not; without a loss, loss and perplexity are null, or not in the table.
Json EvaluationJson(const JobStatus& status, uint64_t tokens);
std::string EvaluationTable(const JobStatus& status, uint64_t tokens);

}  // namespace waferstream
