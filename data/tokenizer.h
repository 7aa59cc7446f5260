// Text to tokens and back. Three kinds: bytes, Hugging Face's tokenizer.json, and SentencePiece's
// tokenizer.model. Each gives, token for token, what its reference gives without tokens added
// before or behind the text.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace waferstream {

// Where a text may be cut and its parts encoded by themselves, with the same tokens.
enum class Cuts {
  kNowhere,
  kLines,  // after a line feed between a letter or digit and a letter, all ASCII
  kAnywhere,
};

// Immutable: all methods may be called from any thread.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Every id is below it.
  virtual uint32_t vocab() const = 0;
  virtual Cuts cuts() const = 0;
  // Whether text must be UTF-8.
  virtual bool needs_utf8() const { return true; }
  // The id of a token by its text, special ones included; of bytes, by its number.
  virtual std::optional<uint32_t> Id(absl::string_view token) const = 0;
  // Appends the tokens. INVALID_ARGUMENT: this text cannot be encoded.
  virtual absl::Status Encode(absl::string_view text, std::vector<uint32_t>& tokens) const = 0;
  // What has no text of its own is shown as U+FFFD, or left out.
  virtual absl::StatusOr<std::string> Decode(std::span<const uint32_t> tokens) const = 0;
};

// Ids are bytes.
std::unique_ptr<Tokenizer> MakeByteTokenizer();

// The longest beginning of `text` that is at most `bytes` long and ends where it may be cut; 0:
// none.
size_t LastCut(absl::string_view text, size_t bytes, Cuts cuts);

}  // namespace waferstream
