#include "data/piece_tokenizer.h"

namespace waferstream {

absl::StatusOr<std::unique_ptr<PieceTokenizer>> PieceTokenizer::Make(absl::string_view model) {
  std::unique_ptr<PieceTokenizer> tokenizer(new PieceTokenizer());
  const std::string error = tokenizer->pieces_.Load({model.data(), model.size()});
  if (!error.empty()) return absl::InvalidArgumentError(error);
  return tokenizer;
}

std::optional<uint32_t> PieceTokenizer::Id(absl::string_view token) const {
  const int id = pieces_.Id({token.data(), token.size()});
  if (id < 0) return std::nullopt;
  return static_cast<uint32_t>(id);
}

absl::Status PieceTokenizer::Encode(absl::string_view text, std::vector<uint32_t>& tokens) const {
  std::vector<int> ids;
  const std::string error = pieces_.Encode({text.data(), text.size()}, ids);
  if (!error.empty()) return absl::InvalidArgumentError(error);
  tokens.insert(tokens.end(), ids.begin(), ids.end());
  return absl::OkStatus();
}

absl::StatusOr<std::string> PieceTokenizer::Decode(std::span<const uint32_t> tokens) const {
  std::vector<int> ids;
  for (const uint32_t token : tokens) {
    if (token < vocab()) ids.push_back(static_cast<int>(token));
  }
  std::string text;
  const std::string error = pieces_.Decode(ids, text);
  if (!error.empty()) return absl::InvalidArgumentError(error);
  return text;
}

}  // namespace waferstream
