// JSON of files that may come from anywhere. The library alone would keep the last of two equal
// names without a word, and take a depth at which copying or writing the value overflows the stack.
#pragma once

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace waferstream {

inline constexpr int kJsonDepthMax = 64;

// INVALID_ARGUMENT, what is wrong with it: not JSON, the same name twice in one object, nested
// deeper than kJsonDepthMax.
absl::StatusOr<nlohmann::json> ParseJson(absl::string_view text);

}  // namespace waferstream
