// waferctl: runs jobs on a cluster, or on one that it makes for them. docs/CLI.md is its manual.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/flags.h"
#include "base/text.h"
#include "client/command_line.h"

namespace waferstream {
namespace {

// Errors are one line each, on stderr.
int Report(const Outcome& outcome) {
  if (outcome.ok()) return static_cast<int>(*outcome);
  std::fprintf(stderr, "waferctl: %s\n", OneLine(outcome.status().message()).c_str());
  return static_cast<int>(ExitCodeOf(outcome.status()));
}

int Main(int argc, char** argv) {
  CLI::App app("Trains neural networks by streaming weights.", "waferctl");
  Outcome outcome = CheckArguments({argv + std::min(argc, 1), argv + argc});
  if (!outcome.ok()) return Report(outcome);
  AddCommands(app, outcome);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return ReportParseError("waferctl", app, error);
  } catch (const std::exception& error) {
    outcome = absl::InternalError(absl::StrCat("bug: ", error.what()));
  }
  return Report(outcome);
}

}  // namespace
}  // namespace waferstream

int main(int argc, char** argv) { return waferstream::Main(argc, argv); }
