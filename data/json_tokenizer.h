// A tokenizer.json, by the library that defines what it means.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/text/text.h"
#include "data/tokenizer.h"

namespace waferstream {

class JsonTokenizer final : public Tokenizer {
 public:
  // `json` is the file's content. INVALID_ARGUMENT: it is no tokenizer.
  static absl::StatusOr<std::unique_ptr<JsonTokenizer>> Make(absl::string_view json);

  uint32_t vocab() const override;
  Cuts cuts() const override;
  std::optional<uint32_t> Id(absl::string_view token) const override;
  absl::Status Encode(absl::string_view text, std::vector<uint32_t>& tokens) const override;
  absl::StatusOr<std::string> Decode(std::span<const uint32_t> tokens) const override;

  const WsTokenizer* handle() const { return handle_.get(); }

 private:
  struct Close {
    void operator()(WsTokenizer* tokenizer) const { ws_tokenizer_close(tokenizer); }
  };
  explicit JsonTokenizer(WsTokenizer* handle) : handle_(handle) {}

  const std::unique_ptr<WsTokenizer, Close> handle_;
};

}  // namespace waferstream
