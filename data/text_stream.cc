#include "data/text_stream.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "base/status.h"

namespace waferstream {
namespace {

// Enough that the first of those behind is no beginning of a text.
constexpr size_t kLeanOn = 4;
constexpr size_t kLeanOnMax = 32;
// What stands for the beginning of a character.
constexpr absl::string_view kIncomplete = "\xEF\xBF\xBD";
// No character takes more; then it is none.
constexpr size_t kTokensOfACharacterMax = 4;

}  // namespace

TextStream::TextStream(const Tokenizer& tokenizer, std::span<const uint32_t> before)
    : tokenizer_(tokenizer) {
  // From where a character begins: a part of one may spoil those behind it.
  for (size_t count = std::min(before.size(), kLeanOn); count <= before.size(); ++count) {
    window_.assign(before.end() - static_cast<int64_t>(count), before.end());
    const auto text = tokenizer_.Decode(window_);
    if (count == kLeanOnMax || !text.ok() || !absl::StartsWith(*text, kIncomplete)) break;
  }
  said_ = window_.size();
}

absl::StatusOr<std::string> TextStream::Add(std::span<const uint32_t> tokens) {
  std::string text;
  for (const uint32_t token : tokens) {
    window_.push_back(token);
    ASSIGN_OR_RETURN(const std::string more, Take(/*all=*/false));
    text += more;
  }
  return text;
}

absl::StatusOr<std::string> TextStream::Finish() { return Take(/*all=*/true); }

absl::StatusOr<std::string> TextStream::Take(bool all) {
  if (said_ == window_.size()) return std::string();
  ASSIGN_OR_RETURN(const std::string before, tokenizer_.Decode(std::span(window_).first(said_)));
  ASSIGN_OR_RETURN(const std::string now, tokenizer_.Decode(window_));
  const bool may_change =
      absl::EndsWith(now, kIncomplete) && window_.size() - said_ < kTokensOfACharacterMax;
  if (may_change && !all) return std::string();
  // The last of those before may have been the beginning of a character that is whole now.
  size_t same =
      std::mismatch(before.begin(), before.end(), now.begin(), now.end()).first - before.begin();
  while (same > 0 && same < before.size() && same < now.size() && (now[same] & 0xC0) == 0x80) {
    --same;
  }
  std::string text = now.substr(same);
  // It begins where a character did.
  if (!text.empty()) window_.erase(window_.begin(), window_.begin() + static_cast<int64_t>(said_));
  said_ = window_.size();
  return text;
}

}  // namespace waferstream
