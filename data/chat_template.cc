#include "data/chat_template.h"

#include "base/status.h"
#include "data/text/rust_call.h"

namespace waferstream {

absl::StatusOr<std::unique_ptr<ChatTemplate>> ChatTemplate::Make(absl::string_view source,
                                                                 absl::string_view special_tokens) {
  WsChat* handle = nullptr;
  std::string error;
  RETURN_IF_ERROR(RustStatus(
      ws_chat_open(BytesOf(source), BytesOf(special_tokens), &handle, SinkInto(error)), error));
  return std::unique_ptr<ChatTemplate>(new ChatTemplate(handle));
}

absl::Status ChatTemplate::Encode(const JsonTokenizer& tokenizer, absl::string_view record,
                                  std::vector<uint32_t>& marked) const {
  std::string error;
  return RustStatus(ws_chat_encode(handle_.get(), tokenizer.handle(), BytesOf(record),
                                   SinkInto(marked), SinkInto(error)),
                    error);
}

}  // namespace waferstream
