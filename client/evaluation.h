// The job that measures the loss of a checkpoint over a file of tokens, and what came of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
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

// Tokens whose loss is measured: those of whole sequences, the one after each being the last
// target. 0 while nobody has looked into the file.
uint64_t TokensMeasured(const JobSpec& job);

// Of a job that is done or not; without a loss, loss and perplexity are null, or not in the table.
Json EvaluationJson(const JobStatus& status);
std::string EvaluationTable(const JobStatus& status);

}  // namespace waferstream
