#include "data/json_tokenizer.h"

#include "base/status.h"
#include "data/text/rust_call.h"

namespace waferstream {

absl::StatusOr<std::unique_ptr<JsonTokenizer>> JsonTokenizer::Make(absl::string_view json) {
  WsTokenizer* handle = nullptr;
  std::string error;
  RETURN_IF_ERROR(RustStatus(ws_tokenizer_open(BytesOf(json), &handle, SinkInto(error)), error));
  return std::unique_ptr<JsonTokenizer>(new JsonTokenizer(handle));
}

uint32_t JsonTokenizer::vocab() const { return ws_tokenizer_vocab(handle()); }

Cuts JsonTokenizer::cuts() const {
  return ws_tokenizer_cuts_at_lines(handle()) ? Cuts::kLines : Cuts::kNowhere;
}

std::optional<uint32_t> JsonTokenizer::Id(absl::string_view token) const {
  const int64_t id = ws_tokenizer_id(handle(), BytesOf(token));
  if (id < 0) return std::nullopt;
  return static_cast<uint32_t>(id);
}

absl::Status JsonTokenizer::Encode(absl::string_view text, std::vector<uint32_t>& tokens) const {
  std::string error;
  return RustStatus(ws_tokenizer_encode(handle(), BytesOf(text), SinkInto(tokens), SinkInto(error)),
                    error);
}

absl::StatusOr<std::string> JsonTokenizer::Decode(std::span<const uint32_t> tokens) const {
  std::string text, error;
  RETURN_IF_ERROR(RustStatus(
      ws_tokenizer_decode(handle(), tokens.data(), tokens.size(), SinkInto(text), SinkInto(error)),
      error));
  return text;
}

}  // namespace waferstream
