// YAML that people write: one document, in UTF-8. The library alone would end a text at some
// control characters, guess its encoding, and read the first of several documents without a word.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "yaml-cpp/yaml.h"

namespace waferstream {

// What messages call a line of the text, "job.yaml:7". Lines count from 0; below it: unknown.
using YamlPlace = std::function<std::string(int line)>;

// INVALID_ARGUMENT, in one line that begins with the place: not UTF-8, not YAML, a second document,
// nested too deep. Equal keys of a map are all there, in order: whoever reads a map must look.
absl::StatusOr<YAML::Node> LoadYaml(const std::string& text, const YamlPlace& place);

}  // namespace waferstream
