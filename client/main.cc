// waferctl: runs jobs on a cluster, or on one that it makes for them. docs/CLI.md is its manual.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <new>
#include <string>
#include <vector>

#include "base/own_process.h"
#include "client/command.h"

namespace waferstream {
namespace {

// Errors are one line each, on stderr; help is a result.
int ReportParseError(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) return app.exit(error);
  // The library says "a subcommand is required" of a misspelt one.
  const std::vector<std::string> unknown = app.remaining();
  const std::string what = unknown.empty() ? error.what() : "unknown: " + unknown[0];
  std::fprintf(stderr, "waferctl: %s (waferctl --help lists what there is)\n", what.c_str());
  return static_cast<int>(ExitCode::kUsage);
}

int Report(const Outcome& outcome) {
  if (outcome.ok()) return static_cast<int>(*outcome);
  std::fprintf(stderr, "waferctl: %s\n", std::string(outcome.status().message()).c_str());
  return static_cast<int>(ExitCodeOf(outcome.status()));
}

int RunCommand(int argc, char** argv) {
  CLI::App app("Trains neural networks by streaming weights.", "waferctl");
  app.require_subcommand(1);
  Outcome outcome = ExitCode::kOk;
  AddRunCommand(app, outcome);
  AddUpCommand(app, outcome);
  AddDownCommand(app, outcome);
  AddSubmitCommand(app, outcome);
  AddJobCommands(app, outcome);
  AddGenerateCommand(app, outcome);
  AddCheckpointCommand(app, outcome);
  AddPlanCommand(app, outcome);
  AddNodesCommand(app, outcome);
  AddVersionCommand(app, outcome);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return ReportParseError(app, error);
  } catch (const std::bad_alloc&) {
    outcome = absl::ResourceExhaustedError("out of memory (see ulimit -v)");
  }
  return Report(outcome);
}

// A result that nobody got is no success; commands say so themselves, help does not.
int Main(int argc, char** argv) {
  SettleProcess();
  const int code = RunCommand(argc, argv);
  const absl::Status written = FlushStdout();
  return code == 0 && !written.ok() ? Report(written) : code;
}

}  // namespace
}  // namespace waferstream

int main(int argc, char** argv) { return waferstream::Main(argc, argv); }
