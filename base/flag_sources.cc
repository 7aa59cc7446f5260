#include "base/flag_sources.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/flag_names.h"
#include "base/flags.h"
#include "base/regular_file.h"
#include "base/status.h"
#include "base/text.h"
#include "base/yaml_document.h"

namespace waferstream {
namespace {

constexpr size_t kFileBytesMax = 1 << 20;
constexpr absl::string_view kConfig = "--config";

absl::Status Refuse(absl::string_view where, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(where, ": ", what));
}

// All of a program: itself and its commands, whether they were called or not.
template <typename Visit>
void ForEachApp(CLI::App& app, const Visit& visit) {
  visit(app);
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) {
    ForEachApp(*command, visit);
  }
}

// What --config says. It must be known before the parser looks at any variable.
std::optional<std::string> ConfigOf(const std::vector<std::string>& arguments) {
  for (size_t i = 0; i < arguments.size() && arguments[i] != "--"; ++i) {
    const absl::string_view argument = arguments[i];
    if (argument == kConfig && i + 1 < arguments.size()) return arguments[i + 1];
    if (absl::StartsWith(argument, "--config=")) {
      return std::string(argument.substr(kConfig.size() + 1));
    }
  }
  return std::nullopt;
}

// The long name, without dashes, of an option that has other sources than the command line.
std::optional<std::string> NameOf(const CLI::Option& option) {
  if (!option.get_configurable() || option.get_lnames().empty()) return std::nullopt;
  return option.get_lnames()[0];
}

// Whether a command that was called, or the app itself, took `value` for the flag.
bool Took(const CLI::App& app, const std::string& flag, const std::string& value) {
  const CLI::Option* option = app.get_option_no_throw(flag);
  if (option != nullptr && option->results() == std::vector{value}) return true;
  const std::vector<CLI::App*> called = app.get_subcommands();
  return std::any_of(called.begin(), called.end(),
                     [&](const CLI::App* command) { return Took(*command, flag, value); });
}

}  // namespace

void FlagSources::Parse(CLI::App& app, int argc, const char* const* argv) {
  const std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  app_ = &app;
  absl::Status status = CheckArguments(arguments);
  if (status.ok()) status = ReadEnvironment();
  if (status.ok()) status = ReadConfig(arguments);
  if (!status.ok()) throw CLI::ValidationError(std::string(status.message()));
  ForEachApp(app, [this](CLI::App& each) { Attach(each); });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) throw;
    throw CLI::ValidationError(NamedLine(error.what()));
  }
}

// The library would look at the variables of all commands, and then ask for the required flags of
// commands that nobody called: only a command that is being parsed learns its variables' names.
void FlagSources::Attach(CLI::App& app) {
  AddPath(app, std::string(kConfig), config_,
          "YAML file of flags, one a line (lease-ms: 3000); a flag is also a variable "
          "(WAFERSTREAM_LEASE_MS), which goes before the file")
      ->configurable(false);
  app.preparse_callback([this, &app](size_t) {
    for (CLI::Option* option : app.get_options()) {
      const std::optional<std::string> name = NameOf(*option);
      if (name && places_.contains(*name)) option->envname(VariableOf(*name));
    }
  });
}

absl::Status FlagSources::ReadEnvironment() {
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    const absl::string_view text = *variable;
    const absl::string_view name = text.substr(0, text.find('='));
    if (!absl::StartsWith(name, "WAFERSTREAM_")) continue;
    const std::string why_not = WhyNoVariable(name);
    if (!why_not.empty()) return Refuse(OneLine(name), why_not);
  }
  for (const absl::string_view flag : FlagNames()) {
    const std::string name = VariableOf(flag);
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) continue;
    if (*value == '\0') return Refuse(name, "is empty");
    places_.emplace(flag, name);
  }
  return absl::OkStatus();
}

absl::Status FlagSources::ReadConfig(const std::vector<std::string>& arguments) {
  const std::string variable = VariableOf("config");
  const std::optional<std::string> given = ConfigOf(arguments);
  std::string path;
  if (given) {
    path = *given;
  } else if (const char* value = std::getenv(variable.c_str())) {
    path = value;
  } else {
    return absl::OkStatus();
  }
  unsetenv(variable.c_str());
  const absl::string_view source = given ? kConfig : variable;
  RETURN_IF_ERROR(CheckPath(source, path));
  absl::Status read = ReadFile(path);
  if (absl::IsInvalidArgument(read)) return read;  // of what is in it
  return read.ok() ? read : Refuse(source, read.message());
}

absl::Status FlagSources::ReadFile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadRegularFile(path, kFileBytesMax));
  const YamlPlace place = [&path](int line) {
    return line < 0 ? path : absl::StrCat(path, ":", line + 1);
  };
  ASSIGN_OR_RETURN(const YAML::Node root, LoadYaml(text, place));
  if (root.IsNull()) return absl::OkStatus();  // nothing, or comments
  if (!root.IsMap()) return Refuse(path, "must be lines of `flag: value`");
  std::set<std::string> seen;
  for (const auto& pair : root) {
    const std::string where = place(pair.first.Mark().line);
    if (!pair.first.IsScalar()) return Refuse(where, "must be `flag: value`");
    const std::string& key = pair.first.Scalar();
    const std::string at = absl::StrCat(where, ": ", OneLine(key));
    if (!seen.insert(key).second) return Refuse(at, "given twice");
    const std::string why_not = WhyNoKey(key);
    if (!why_not.empty()) return Refuse(at, why_not);
    if (pair.second.IsNull()) return Refuse(at, "has no value");
    if (!pair.second.IsScalar()) return Refuse(at, "must be one value");
    RETURN_IF_ERROR(TakeKey(at, key, pair.second.Scalar()));
  }
  return absl::OkStatus();
}

absl::Status FlagSources::TakeKey(const std::string& place, const std::string& key,
                                  const std::string& text) {
  if (text.empty()) return Refuse(place, "is empty");
  if (!places_.emplace(key, place).second) return absl::OkStatus();  // the environment has it
  setenv(VariableOf(key).c_str(), text.c_str(), 1);
  return absl::OkStatus();
}

absl::Status FlagSources::Named(const absl::Status& status) const {
  return absl::Status(status.code(), NamedLine(status.message()));
}

std::string FlagSources::NamedLine(absl::string_view line) const {
  const std::string flag(line.substr(0, line.find(':')));
  if (app_ == nullptr || flag == line || !absl::StartsWith(flag, "--")) return std::string(line);
  const auto place = places_.find(flag.substr(2));
  if (place == places_.end()) return std::string(line);
  const char* value = std::getenv(VariableOf(place->first).c_str());
  if (value == nullptr || !Took(*app_, flag, value)) return std::string(line);
  return absl::StrCat(place->second, line.substr(flag.size()));
}

absl::Status CheckArguments(const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    if (argument == "--") break;
    const size_t equals = argument.find('=');
    if (!absl::StartsWith(argument, "--") || equals + 1 != argument.size()) continue;
    return Refuse(argument.substr(0, equals), "is empty");
  }
  return absl::OkStatus();
}

}  // namespace waferstream
