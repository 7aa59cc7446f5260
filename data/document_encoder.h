// Pieces of text to the tokens that go into the file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "data/input_files.h"
#include "data/piece_texts.h"
#include "data/text_source.h"
#include "data/tokenizer_files.h"

namespace waferstream {

struct EncodedText {
  std::vector<uint32_t> tokens;  // marked (kNoTarget) in conversations
  uint64_t documents = 0;
  // Documents in whose text the token that ends a document occurs.
  uint64_t with_end_inside = 0;
};

struct EncoderOptions {
  std::string field = "text";           // of JSON-lines and Parquet
  bool chat = false;                    // JSON-lines are conversations
  std::optional<uint32_t> end_of_text;  // put behind every document
};

// Immutable: may be used from any thread.
class DocumentEncoder {
 public:
  // Both outlive this. With `chat`, `tokenizer` has json and chat.
  DocumentEncoder(const TokenizerFiles& tokenizer, const std::vector<InputFile>& files,
                  EncoderOptions options);

  // Appends. INVALID_ARGUMENT, with file and line: as PieceTexts, and a record that the template
  // refuses.
  absl::Status Encode(const TextPiece& piece, EncodedText& out) const;

 private:
  absl::Status EncodeChat(const TextPiece& piece, EncodedText& out) const;
  absl::Status EncodeText(absl::string_view text, std::vector<uint32_t>& tokens) const;
  // Of a document whose tokens, or the last of them, begin at `first`.
  void EndDocument(size_t first, EncodedText& out) const;

  const TokenizerFiles& tokenizer_;
  const EncoderOptions options_;
  const PieceTexts texts_;
};

}  // namespace waferstream
