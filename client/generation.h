// Text to tokens and back, and the job between them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/output.h"
#include "proto/job.pb.h"

namespace waferstream {

// The vocabulary of the byte tokenizer: every byte is a token.
inline constexpr uint32_t kByteVocabulary = 256;

struct GenerationRequest {
  std::string checkpoint;               // absolute
  std::string prompt;                   // of bytes, or
  std::vector<uint32_t> prompt_tokens;  // of tokens; exactly one of the two is given
  uint32_t tokens = 200;
  double temperature = 0.8;
  uint32_t top_k = 40;
  uint64_t seed = 1;
  bool logits = false;  // of the prompt's last position: one token is chosen
};

// The job, with the model that the checkpoint says it holds, for one node of each role.
// INVALID_ARGUMENT: no such model, no prompt, a token beyond the vocabulary, text for a model whose
// tokens are not bytes.
absl::StatusOr<JobSpec> GenerationJob(const GenerationRequest& request);

// What tokens look like on stdout: their bytes, or, of a model whose tokens are not bytes, their
// numbers with spaces between them. `first`: nothing was printed before them.
std::string RenderTokens(const ModelSpec& model, const std::vector<uint32_t>& tokens, bool first);

}  // namespace waferstream
