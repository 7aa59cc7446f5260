// Text from outside: is it UTF-8, and can it be shown in one line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace waferstream {

// Takes the first code point off a text that is not empty. Nullopt: its bytes are not UTF-8 (an
// overlong form, a surrogate, a part); then the text is as it was.
std::optional<char32_t> TakePoint(absl::string_view& text);

bool IsUtf8(absl::string_view text);

// Whether it moves the cursor, starts a command of the terminal, ends a line or turns the direction
// of writing, instead of showing something.
bool IsControl(char32_t point);

// What may be sent as text: each byte that is not UTF-8 becomes U+FFFD.
std::string ToUtf8(absl::string_view text);

// What a line may hold of any text: control characters and what is not UTF-8 become \n, \t or \x1b.
std::string OneLine(absl::string_view text);

}  // namespace waferstream
