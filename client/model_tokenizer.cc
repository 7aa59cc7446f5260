#include "client/model_tokenizer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace waferstream {
namespace {

constexpr uint32_t kByteVocabulary = 256;

absl::StatusOr<std::optional<TokenizerFiles>> Find(const std::string& named,
                                                   const std::string& checkpoint,
                                                   const ModelSpec& model) {
  std::optional<TokenizerFiles> files;
  if (!named.empty()) {
    ASSIGN_OR_RETURN(files, OpenTokenizer(named));
    return files;
  }
  ASSIGN_OR_RETURN(files, FindTokenizer(checkpoint));
  if (!files && model.vocab() == kByteVocabulary) {
    ASSIGN_OR_RETURN(files, OpenTokenizer("bytes"));
  }
  return files;
}

}  // namespace

absl::StatusOr<std::optional<TokenizerFiles>> TokenizerFor(const std::string& named,
                                                           const std::string& checkpoint,
                                                           const ModelSpec& model) {
  ASSIGN_OR_RETURN(std::optional<TokenizerFiles> files, Find(named, checkpoint, model));
  if (files) RETURN_IF_ERROR(CheckFits(*files, model));
  return files;
}

absl::Status CheckFits(const TokenizerFiles& files, const ModelSpec& model) {
  const uint32_t vocab = files.tokenizer().vocab();
  if (vocab <= model.vocab()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(files.path, ": has ids up to ", vocab - 1,
                                                 "; the model's vocab is ", model.vocab()));
}

}  // namespace waferstream
