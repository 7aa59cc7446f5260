// A tokenizer.model of SentencePiece, by its library.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/sentence_pieces.h"
#include "data/tokenizer.h"

namespace waferstream {

class PieceTokenizer final : public Tokenizer {
 public:
  // `model` is the file's content. INVALID_ARGUMENT: it is no tokenizer.
  static absl::StatusOr<std::unique_ptr<PieceTokenizer>> Make(absl::string_view model);

  uint32_t vocab() const override { return static_cast<uint32_t>(pieces_.Size()); }
  Cuts cuts() const override { return Cuts::kNowhere; }
  std::optional<uint32_t> Id(absl::string_view token) const override;
  absl::Status Encode(absl::string_view text, std::vector<uint32_t>& tokens) const override;
  absl::StatusOr<std::string> Decode(std::span<const uint32_t> tokens) const override;

 private:
  PieceTokenizer() = default;

  SentencePieces pieces_;
};

}  // namespace waferstream
