#include "client/output.h"

#include <yaml-cpp/yaml.h>

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/flags.h"
#include "base/status.h"

namespace waferstream {
namespace {

// A plain scalar of YAML that looks like another type must be quoted to stay a string.
bool LooksLikeString(const std::string& text) {
  if (text.empty() || text == "~") return false;
  const YAML::Node node(text);
  double number;
  bool truth;
  return !YAML::convert<double>::decode(node, number) &&
         !YAML::convert<bool>::decode(node, truth) && !node.IsNull() && text != "null";
}

void Emit(YAML::Emitter& out, const Json& value) {
  if (value.is_object()) {
    out << YAML::BeginMap;
    for (const auto& [key, item] : value.items()) {
      out << YAML::Key << key << YAML::Value;
      Emit(out, item);
    }
    out << YAML::EndMap;
  } else if (value.is_array()) {
    const bool scalars = value.empty() || value[0].is_primitive();
    out << (scalars ? YAML::Flow : YAML::Block) << YAML::BeginSeq;
    for (const Json& item : value) Emit(out, item);
    out << YAML::EndSeq;
  } else if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (LooksLikeString(text)) {
      out << text;
    } else {
      out << YAML::DoubleQuoted << text;
    }
  } else if (value.is_null() || (value.is_number_float() && !std::isfinite(value.get<double>()))) {
    out << YAML::Null;
  } else {
    out << value.dump();  // true and numbers are written alike in both
  }
}

}  // namespace

void AddOutputFlag(CLI::App& command, Format& format) {
  AddFlagOf(command, "-o,--output", "FORMAT", "json or yaml; a table for people without it",
            [&format](const std::string& flag, const std::string& text) -> absl::Status {
              constexpr Format kFormats[] = {Format::kJson, Format::kYaml};
              ASSIGN_OR_RETURN(const size_t word, ParseWord(flag, text, "json|yaml"));
              format = kFormats[word];
              return absl::OkStatus();
            });
}

std::string RenderStructured(const Json& value, Format format) {
  if (format == Format::kJson) {
    // A log or a reason may hold bytes that are no UTF-8; the rest must still get through.
    return absl::StrCat(value.dump(2, ' ', false, Json::error_handler_t::replace), "\n");
  }
  YAML::Emitter out;
  Emit(out, value);
  return absl::StrCat(out.c_str(), "\n");
}

absl::Status PrintResult(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) {
    return absl::OkStatus();
  }
  return absl::InternalError(absl::StrCat("stdout: cannot write: ", std::strerror(errno)));
}

absl::Status PrintResult(Format format, const std::string& table, const Json& value) {
  return PrintResult(format == Format::kTable ? table : RenderStructured(value, format));
}

}  // namespace waferstream
