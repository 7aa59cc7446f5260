#include "base/flags.h"

#include <cstdio>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "base/text.h"

namespace waferstream {
namespace {

using Check = absl::Status (*)(absl::string_view field, absl::string_view text);

CLI::Option* AddChecked(CLI::App& app, const std::string& names, std::string& value,
                        const std::string& type, const std::string& help, Check check) {
  return AddFlagOf(app, names, type, help,
                   [&value, check](const std::string& flag, const std::string& text) {
                     value = text;
                     return check(flag, text);
                   });
}

absl::Status TakeList(const std::string& flag, const std::string& text,
                      std::vector<uint32_t>& values) {
  values.clear();
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    ASSIGN_OR_RETURN(const uint64_t value, ParseWhole(flag, part, {.high = UINT32_MAX}));
    values.push_back(static_cast<uint32_t>(value));
  }
  return absl::OkStatus();
}

}  // namespace

CLI::Option* AddFlagOf(
    CLI::App& app, const std::string& names, const std::string& type, const std::string& help,
    std::function<absl::Status(const std::string& flag, const std::string&)> take) {
  // The option's name is known once it is there.
  auto option = std::make_shared<CLI::Option*>(nullptr);
  *option = app.add_option_function<std::string>(
      names,
      [option, take = std::move(take)](const std::string& text) {
        const absl::Status status = take((*option)->get_name(), text);
        if (!status.ok()) throw CLI::ValidationError(std::string(status.message()));
      },
      help);
  return (*option)->type_name(type);
}

CLI::Option* AddWholeList(CLI::App& app, const std::string& names, std::vector<uint32_t>& values,
                          const std::string& help) {
  return AddFlagOf(app, names, "N,N,...", help,
                   [&values](const std::string& flag, const std::string& text) {
                     return TakeList(flag, text, values);
                   });
}

CLI::Option* AddReal(CLI::App& app, const std::string& names, double& value,
                     const std::string& help, Bounds bounds) {
  return AddFlagOf(app, names, "NUMBER", help,
                   [&value, bounds](const std::string& flag, const std::string& text) {
                     const absl::StatusOr<double> real = ParseReal(flag, text, bounds);
                     if (real.ok()) value = *real;
                     return real.status();
                   });
}

CLI::Option* AddWord(CLI::App& app, const std::string& names, std::string& value,
                     const std::string& words, const std::string& help) {
  return AddFlagOf(app, names, words, help,
                   [&value, words](const std::string& flag, const std::string& text) {
                     value = text;
                     return ParseWord(flag, text, words).status();
                   });
}

CLI::Option* AddPath(CLI::App& app, const std::string& names, std::string& value,
                     const std::string& help) {
  return AddChecked(app, names, value, "PATH", help, CheckPath);
}

CLI::Option* AddName(CLI::App& app, const std::string& names, std::string& value,
                     const std::string& help) {
  return AddChecked(app, names, value, "NAME", help, CheckName);
}

CLI::Option* AddHost(CLI::App& app, const std::string& names, std::string& value,
                     const std::string& help) {
  return AddChecked(app, names, value, "HOST", help, CheckHost);
}

CLI::Option* AddAddress(CLI::App& app, const std::string& names, std::string& value,
                        const std::string& help) {
  return AddChecked(app, names, value, "HOST:PORT", help, CheckAddress);
}

CLI::Option* AddSwitch(CLI::App& app, const std::string& names, bool& value,
                       const std::string& help) {
  return app.add_flag(names, value, help)->check([](const std::string& text) -> std::string {
    if (text == "true" || text == "false") return "";
    return absl::StrCat("\"", OneLine(text), "\" must be true or false");
  });
}

int ReportParseError(const std::string& program, const CLI::App& app,
                     const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) return app.exit(error);
  // The library says "a subcommand is required" of a misspelt one.
  const std::vector<std::string> unknown = app.remaining();
  const std::string what = unknown.empty() ? error.what() : "unknown: " + unknown[0];
  std::fprintf(stderr, "%s: %s (%s --help lists what there is)\n", program.c_str(),
               OneLine(what).c_str(), program.c_str());
  return 2;
}

}  // namespace waferstream
