// A tokenizer as it lies in a folder, of a checkpoint or by itself, with what is known of it there.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/chat_template.h"
#include "data/json_tokenizer.h"
#include "data/tokenizer.h"

namespace waferstream {

struct TokenizerFiles {
  // What encodes text: `json` if that is there, else a tokenizer.model, else bytes.
  const Tokenizer& tokenizer() const { return json ? *json : *other; }

  std::string path;  // of its file; "bytes"
  std::unique_ptr<JsonTokenizer> json;
  std::unique_ptr<Tokenizer> other;
  std::array<uint64_t, 2> xxh3_128 = {0, 0};  // of the file, low half first; bytes: 0
  // The token that separates documents: that of a known name, else the folder's eos_token.
  std::optional<uint32_t> end_of_text;
  // Tokens that end a generation: the same, the eos_token, and generation_config.json's.
  std::vector<uint32_t> stops;
  std::unique_ptr<ChatTemplate> chat;  // null: there is none
};

// `name` is a tokenizer.json, a tokenizer.model, a folder with one of them, or "bytes".
// INVALID_ARGUMENT, one line with the file: there is none, or it is none.
absl::StatusOr<TokenizerFiles> OpenTokenizer(const std::string& name);

// That of a folder; nullopt: there is none.
absl::StatusOr<std::optional<TokenizerFiles>> FindTokenizer(const std::string& folder);

}  // namespace waferstream
