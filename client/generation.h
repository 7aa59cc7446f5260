// A prompt as a job, and the tokens that come of it as text.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/text_stream.h"
#include "data/tokenizer_files.h"
#include "proto/job.pb.h"

namespace waferstream {

struct GenerationRequest {
  std::string checkpoint;               // absolute
  std::string tokenizer;                // as OpenTokenizer takes it; empty: the checkpoint's
  std::string prompt;                   // text, or
  std::vector<uint32_t> prompt_tokens;  // of tokens; exactly one of the two is given
  uint32_t tokens = 200;
  double temperature = 0.8;
  uint32_t top_k = 40;
  double top_p = 0;
  uint64_t seed = 1;
  bool logits = false;  // of the prompt's last position: one token is chosen
};

// The job, with the model that the checkpoint says it holds, for one node of each role.
// `tokenizer` may be null. INVALID_ARGUMENT: no such model, no prompt, a token beyond the
// vocabulary, text without a tokenizer.
absl::StatusOr<JobSpec> GenerationJob(const GenerationRequest& request,
                                      const TokenizerFiles* tokenizer);

// What makes text of the model's tokens (client/model_tokenizer.h).
absl::StatusOr<std::optional<TokenizerFiles>> TokenizerOf(const GenerationRequest& request);

// What generated tokens look like on stdout: text, or, without a tokenizer, numbers with spaces
// between them. A token that ends the generation is not shown.
class TokenRenderer {
 public:
  // `tokenizer` may be null, and outlives this.
  TokenRenderer(const GenerateSpec& spec, const TokenizerFiles* tokenizer);

  absl::StatusOr<std::string> Add(const std::vector<uint32_t>& tokens);
  absl::StatusOr<std::string> Finish();

 private:
  const std::vector<uint32_t> stops_;
  std::optional<TextStream> stream_;
  bool first_ = true;
};

}  // namespace waferstream
