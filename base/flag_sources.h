// Where the flags of a program come from: its command line, then the environment, then a file, then
// its defaults. All go through the same checks (base/flags.h), and a message names the variable
// ("WAFERSTREAM_LEASE_MS: ..."), or file, line and key ("cluster.yaml:3: lease-ms: ..."), where it
// would have named the flag.
//
// A flag that the parser's library has as configurable(false) is on the command line alone: those
// that say what one call is to do, --help and --version.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace waferstream {

// Lives as long as the App that it parses for.
class FlagSources {
 public:
  // Like app.parse, once, on the main thread before there are others. Adds --config to the app and
  // to all of its commands. Beyond what app.parse throws, a CLI::ValidationError of one line for: a
  // variable or key that no program has (base/flag_names.h); an empty value, wherever it is; a file
  // that cannot be read.
  // Afterwards the file's values are variables, too: a process that this one starts has them from
  // there, and WAFERSTREAM_CONFIG is gone.
  void Parse(CLI::App& app, int argc, const char* const* argv);

  // The same status, naming what the flag's value came from if its message begins with "--flag: ".
  absl::Status Named(const absl::Status& status) const;

 private:
  void Attach(CLI::App& app);
  absl::Status ReadEnvironment();
  absl::Status ReadConfig(const std::vector<std::string>& arguments);
  absl::Status ReadFile(const std::string& path);
  absl::Status TakeKey(const std::string& place, const std::string& key, const std::string& text);
  std::string NamedLine(absl::string_view line) const;

  CLI::App* app_ = nullptr;
  std::map<std::string, std::string, std::less<>> places_;  // of flags that a source has
  std::string config_;  // what --config says on the command line; read before
};

// What the parser's library would misread: it takes what follows an option as its value when the
// value itself is empty ("--out=$UNSET next"). INVALID_ARGUMENT, naming the option. `arguments`
// without the program.
absl::Status CheckArguments(const std::vector<std::string>& arguments);

}  // namespace waferstream
