// Options of a command line by kind. The parser's library would take 0x10, 010 (for 8), nan and an
// empty path; here base/user_input decides. A bad value ends parsing with a CLI::ValidationError of
// one line that begins with the option's name.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/user_input.h"

namespace waferstream {

template <typename Value>
struct WholeOf {
  using Type = Value;
};
template <typename Value>
struct WholeOf<std::optional<Value>> {
  using Type = Value;
};

// `take` gets the option's name, for messages, and what was given.
CLI::Option* AddFlagOf(
    CLI::App& app, const std::string& names, const std::string& type, const std::string& help,
    std::function<absl::Status(const std::string& flag, const std::string&)> take);

// The bounds' upper end need not be within Whole; the smaller one counts. `value` may also be a
// std::optional, which stays empty when the option is not given.
template <typename Value>
CLI::Option* AddWhole(CLI::App& app, const std::string& names, Value& value,
                      const std::string& help, Bounds bounds = {}) {
  using Whole = typename WholeOf<Value>::Type;
  bounds.high = std::min(bounds.high, static_cast<double>(std::numeric_limits<Whole>::max()));
  return AddFlagOf(app, names, "NUMBER", help,
                   [&value, bounds](const std::string& flag, const std::string& text) {
                     const absl::StatusOr<uint64_t> whole = ParseWhole(flag, text, bounds);
                     if (whole.ok()) value = static_cast<Whole>(*whole);
                     return whole.status();
                   });
}

// Numbers with commas between them.
CLI::Option* AddWholeList(CLI::App& app, const std::string& names, std::vector<uint32_t>& values,
                          const std::string& help);

CLI::Option* AddReal(CLI::App& app, const std::string& names, double& value,
                     const std::string& help, Bounds bounds = {});

// One of `words`, separated by '|'.
CLI::Option* AddWord(CLI::App& app, const std::string& names, std::string& value,
                     const std::string& words, const std::string& help);

CLI::Option* AddPath(CLI::App& app, const std::string& names, std::string& value,
                     const std::string& help);
CLI::Option* AddName(CLI::App& app, const std::string& names, std::string& value,
                     const std::string& help);
CLI::Option* AddHost(CLI::App& app, const std::string& names, std::string& value,
                     const std::string& help);
// A flag without a value; a variable or a file gives it as true or false.
CLI::Option* AddSwitch(CLI::App& app, const std::string& names, bool& value,
                       const std::string& help);
CLI::Option* AddAddress(CLI::App& app, const std::string& names, std::string& value,
                        const std::string& help);

// Says on stderr, in one line, what is wrong with a command line; the exit code is 2. Asking for
// help or the version is nothing wrong: they are printed as results, and 0.
int ReportParseError(const std::string& program, const CLI::App& app, const CLI::ParseError& error);

}  // namespace waferstream
