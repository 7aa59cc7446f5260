// Results, as people or as programs want them. Results go to stdout and nothing else does.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "nlohmann/json.hpp"

namespace CLI {
class App;
}

namespace waferstream {

enum class Format { kTable, kJson, kYaml };

// Keeps the order in which fields were added.
using Json = nlohmann::ordered_json;

// Adds -o/--output json|yaml to `command`; without it `format` stays as it is.
void AddOutputFlag(CLI::App& command, Format& format);

// `format` is kJson or kYaml. Ends in a newline. Numbers that are not finite become null.
std::string RenderStructured(const Json& value, Format format);

// Writes all of `text` to stdout, at once. A reader that went away is not an error of ours, a full
// disk is.
absl::Status PrintResult(const std::string& text);

// Prints `table` or `value`, whichever `format` asks for.
absl::Status PrintResult(Format format, const std::string& table, const Json& value);

}  // namespace waferstream
