#include "client/generation.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "client/forward_job.h"

namespace waferstream {
namespace {

absl::StatusOr<std::vector<uint32_t>> PromptTokens(const GenerationRequest& request,
                                                   const ModelSpec& model) {
  if (request.prompt.empty() && request.prompt_tokens.empty()) {
    return absl::InvalidArgumentError("--prompt: is empty; a model needs a token to begin with");
  }
  if (!request.prompt.empty()) {
    if (model.vocab() != kByteVocabulary) {
      return absl::InvalidArgumentError(absl::StrCat("--prompt: this model has a vocabulary of ",
                                                     model.vocab(),
                                                     ", not of 256 bytes; give --prompt-tokens"));
    }
    const auto* bytes = reinterpret_cast<const uint8_t*>(request.prompt.data());
    return std::vector<uint32_t>(bytes, bytes + request.prompt.size());
  }
  for (const uint32_t token : request.prompt_tokens) {
    if (token >= model.vocab()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--prompt-tokens: ", token, " is not below the vocabulary of ", model.vocab()));
    }
  }
  return request.prompt_tokens;
}

}  // namespace

absl::StatusOr<JobSpec> GenerationJob(const GenerationRequest& request) {
  ASSIGN_OR_RETURN(JobSpec job, ForwardJob("generate", request.checkpoint));
  ASSIGN_OR_RETURN(const std::vector<uint32_t> prompt, PromptTokens(request, job.model()));
  GenerateSpec* generate = job.mutable_generate();
  generate->mutable_prompt()->Assign(prompt.begin(), prompt.end());
  generate->set_tokens(request.logits ? 1 : request.tokens);
  generate->set_logits(request.logits);
  generate->set_temperature(request.temperature);
  generate->set_top_k(request.top_k);
  generate->set_seed(request.seed);
  return job;
}

std::string RenderTokens(const ModelSpec& model, const std::vector<uint32_t>& tokens, bool first) {
  std::string out;
  for (const uint32_t token : tokens) {
    if (model.vocab() == kByteVocabulary) {
      out.push_back(static_cast<char>(token));
    } else {
      absl::StrAppend(&out, first ? "" : " ", token);
    }
    first = false;
  }
  return out;
}

}  // namespace waferstream
