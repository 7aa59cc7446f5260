#include "data/tokenizer.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "base/user_input.h"

namespace waferstream {
namespace {

class ByteTokenizer final : public Tokenizer {
 public:
  uint32_t vocab() const override { return 256; }
  Cuts cuts() const override { return Cuts::kAnywhere; }
  bool needs_utf8() const override { return false; }
  std::optional<uint32_t> Id(absl::string_view token) const override {
    const auto id = ParseWhole("", token, {.high = 255});
    if (!id.ok()) return std::nullopt;
    return static_cast<uint32_t>(*id);
  }
  absl::Status Encode(absl::string_view text, std::vector<uint32_t>& tokens) const override {
    for (const char c : text) tokens.push_back(static_cast<uint8_t>(c));
    return absl::OkStatus();
  }
  absl::StatusOr<std::string> Decode(std::span<const uint32_t> tokens) const override {
    return std::string(tokens.begin(), tokens.end());
  }
};

bool IsLineCut(absl::string_view text, size_t at) {
  return at >= 2 && at < text.size() && text[at - 1] == '\n' &&
         absl::ascii_isalnum(static_cast<unsigned char>(text[at - 2])) &&
         absl::ascii_isalpha(static_cast<unsigned char>(text[at]));
}

}  // namespace

std::unique_ptr<Tokenizer> MakeByteTokenizer() { return std::make_unique<ByteTokenizer>(); }

size_t LastCut(absl::string_view text, size_t bytes, Cuts cuts) {
  size_t at = std::min(bytes, text.size());
  if (cuts == Cuts::kNowhere) return 0;
  if (cuts == Cuts::kAnywhere) return at;
  while (at > 0 && !IsLineCut(text, at)) --at;
  return at;
}

}  // namespace waferstream
