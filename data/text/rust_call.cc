#include "data/text/rust_call.h"

#include "absl/strings/str_replace.h"

namespace waferstream {

WsBytes BytesOf(absl::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

WsSink SinkInto(std::string& to) {
  return {&to, [](void* context, const void* data, size_t count) {
            static_cast<std::string*>(context)->append(static_cast<const char*>(data), count);
          }};
}

WsSink SinkInto(std::vector<uint32_t>& to) {
  return {&to, [](void* context, const void* data, size_t count) {
            const auto* ids = static_cast<const uint32_t*>(data);
            auto* all = static_cast<std::vector<uint32_t>*>(context);
            all->insert(all->end(), ids, ids + count);
          }};
}

WsSink SinkInto(std::function<void(absl::string_view)>& to) {
  return {&to, [](void* context, const void* data, size_t count) {
            (*static_cast<std::function<void(absl::string_view)>*>(context))(
                {static_cast<const char*>(data), count});
          }};
}

absl::Status RustStatus(bool ok, const std::string& error) {
  if (ok) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrReplaceAll(error, {{"\n", " "}}));
}

}  // namespace waferstream
