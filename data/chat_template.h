// Conversations by the chat template of a tokenizer's folder, with what is no answer marked.
//
// An answer is what the template says between {% generation %} and {% endgeneration %}. Of a
// template without them it is what the conversation up to the answer has more than the conversation
// before it with the prompt for an answer; a template of which the one does not begin with the
// other is refused.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "data/json_tokenizer.h"

namespace waferstream {

// In a token as the encoders give it: it is no target.
inline constexpr uint32_t kNoTarget = uint32_t{1} << 31;

// Immutable and thread-safe.
class ChatTemplate {
 public:
  // `special_tokens` is a JSON object, of names as templates use them ("bos_token").
  // INVALID_ARGUMENT: it is no template.
  static absl::StatusOr<std::unique_ptr<ChatTemplate>> Make(absl::string_view source,
                                                            absl::string_view special_tokens);

  // Appends the tokens of one record, {"messages": [{"role": ..., "content": ...}, ...]}.
  // INVALID_ARGUMENT: it is none, or the template refuses it.
  absl::Status Encode(const JsonTokenizer& tokenizer, absl::string_view record,
                      std::vector<uint32_t>& marked) const;

 private:
  struct Close {
    void operator()(WsChat* chat) const { ws_chat_close(chat); }
  };
  explicit ChatTemplate(WsChat* handle) : handle_(handle) {}

  const std::unique_ptr<WsChat, Close> handle_;
};

}  // namespace waferstream
