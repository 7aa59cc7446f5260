#include "client/generation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/text.h"
#include "client/forward_job.h"
#include "client/model_tokenizer.h"

namespace waferstream {
namespace {

// Of a model whose tokens are bytes, unless a tokenizer says otherwise.
absl::StatusOr<std::vector<uint32_t>> PromptTokens(const GenerationRequest& request,
                                                   const ModelSpec& model,
                                                   const TokenizerFiles* tokenizer) {
  if (request.prompt.empty() && request.prompt_tokens.empty()) {
    return absl::InvalidArgumentError("--prompt: is empty; a model needs a token to begin with");
  }
  for (const uint32_t token : request.prompt_tokens) {
    if (token >= model.vocab()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--prompt-tokens: ", token, " is not below the vocabulary of ", model.vocab()));
    }
  }
  if (request.prompt.empty()) return request.prompt_tokens;
  if (tokenizer == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("--prompt: this model has a vocabulary of ", model.vocab(),
                     " and no tokenizer beside it; give --tokenizer or --prompt-tokens"));
  }
  if (tokenizer->tokenizer().needs_utf8() && !IsUtf8(request.prompt)) {
    return absl::InvalidArgumentError("--prompt: is not UTF-8, which this tokenizer needs");
  }
  std::vector<uint32_t> tokens;
  const absl::Status status = tokenizer->tokenizer().Encode(request.prompt, tokens);
  if (!status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--prompt: ", status.message()));
  }
  if (tokens.empty()) return absl::InvalidArgumentError("--prompt: has no tokens");
  return tokens;
}

}  // namespace

absl::StatusOr<std::optional<TokenizerFiles>> TokenizerOf(const GenerationRequest& request) {
  ASSIGN_OR_RETURN(const JobSpec job, ForwardJob("generate", request.checkpoint));
  return TokenizerFor(request.tokenizer, request.checkpoint, job.model());
}

absl::StatusOr<JobSpec> GenerationJob(const GenerationRequest& request,
                                      const TokenizerFiles* tokenizer) {
  ASSIGN_OR_RETURN(JobSpec job, ForwardJob("generate", request.checkpoint));
  ASSIGN_OR_RETURN(const std::vector<uint32_t> prompt,
                   PromptTokens(request, job.model(), tokenizer));
  GenerateSpec* generate = job.mutable_generate();
  generate->mutable_prompt()->Assign(prompt.begin(), prompt.end());
  generate->set_tokens(request.logits ? 1 : request.tokens);
  generate->set_logits(request.logits);
  generate->set_temperature(request.temperature);
  generate->set_top_k(request.top_k);
  generate->set_top_p(request.top_p);
  generate->set_seed(request.seed);
  if (tokenizer != nullptr && !request.logits) {
    generate->mutable_stop()->Assign(tokenizer->stops.begin(), tokenizer->stops.end());
  }
  return job;
}

TokenRenderer::TokenRenderer(const GenerateSpec& spec, const TokenizerFiles* tokenizer)
    : stops_(spec.stop().begin(), spec.stop().end()) {
  const std::vector<uint32_t> prompt(spec.prompt().begin(), spec.prompt().end());
  if (tokenizer != nullptr) stream_.emplace(tokenizer->tokenizer(), prompt);
}

absl::StatusOr<std::string> TokenRenderer::Add(const std::vector<uint32_t>& tokens) {
  std::vector<uint32_t> shown;
  std::copy_if(tokens.begin(), tokens.end(), std::back_inserter(shown), [&](uint32_t token) {
    return std::find(stops_.begin(), stops_.end(), token) == stops_.end();
  });
  if (stream_) return stream_->Add(shown);
  std::string out;
  for (const uint32_t token : shown) {
    absl::StrAppend(&out, first_ ? "" : " ", token);
    first_ = false;
  }
  return out;
}

absl::StatusOr<std::string> TokenRenderer::Finish() {
  return stream_ ? stream_->Finish() : std::string();
}

}  // namespace waferstream
