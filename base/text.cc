#include "base/text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace waferstream {
namespace {

// Bytes after the first one of a sequence; nullopt: none begins so.
std::optional<size_t> FollowingBytes(uint8_t lead) {
  if (lead < 0x80) return 0;
  if (lead >= 0xC2 && lead < 0xE0) return 1;
  if (lead >= 0xE0 && lead < 0xF0) return 2;
  if (lead >= 0xF0 && lead < 0xF5) return 3;
  return std::nullopt;
}

void AppendEscaped(absl::string_view bytes, std::string& out) {
  for (const char byte : bytes) {
    if (byte == '\n') {
      out += "\\n";
    } else if (byte == '\t') {
      out += "\\t";
    } else if (byte == '\r') {
      out += "\\r";
    } else {
      absl::StrAppendFormat(&out, "\\x%02x", static_cast<uint8_t>(byte));
    }
  }
}

}  // namespace

std::optional<char32_t> TakePoint(absl::string_view& text) {
  constexpr char32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
  const auto lead = static_cast<uint8_t>(text[0]);
  const std::optional<size_t> following = FollowingBytes(lead);
  if (!following || *following >= text.size()) return std::nullopt;
  char32_t point = *following == 0 ? lead : lead & (0x3F >> *following);
  for (size_t i = 1; i <= *following; ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    if ((byte & 0xC0) != 0x80) return std::nullopt;
    point = point << 6 | (byte & 0x3F);
  }
  const bool surrogate = point >= 0xD800 && point < 0xE000;
  if (point < kLeast[*following] || point > 0x10FFFF || surrogate) return std::nullopt;
  text.remove_prefix(1 + *following);
  return point;
}

bool IsUtf8(absl::string_view text) {
  while (!text.empty()) {
    if (!TakePoint(text)) return false;
  }
  return true;
}

bool IsControl(char32_t point) {
  return point < 0x20 || (point >= 0x7F && point < 0xA0) ||  // C0, DEL, C1
         point == 0x2028 || point == 0x2029 ||               // line and paragraph separator
         (point >= 0x202A && point <= 0x202E) || (point >= 0x2066 && point <= 0x2069) ||
         point == 0x200E || point == 0x200F || point == 0x061C || point == 0xFEFF;
}

std::string ToUtf8(absl::string_view text) {
  std::string out;
  while (!text.empty()) {
    absl::string_view rest = text;
    const bool good = TakePoint(rest).has_value();
    if (!good) rest.remove_prefix(1);
    const absl::string_view taken = text.substr(0, text.size() - rest.size());
    absl::StrAppend(&out, good ? taken : "\uFFFD");
    text = rest;
  }
  return out;
}

std::string OneLine(absl::string_view text) {
  std::string out;
  while (!text.empty()) {
    absl::string_view rest = text;
    const std::optional<char32_t> point = TakePoint(rest);
    if (!point) rest.remove_prefix(1);
    const absl::string_view taken = text.substr(0, text.size() - rest.size());
    if (!point || IsControl(*point)) {
      AppendEscaped(taken, out);
    } else {
      out.append(taken.data(), taken.size());
    }
    text = rest;
  }
  return out;
}

}  // namespace waferstream
