// waferctl: runs jobs on a cluster, or on one that it makes for them. docs/CLI.md is its manual.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/flag_sources.h"
#include "base/flags.h"
#include "base/own_process.h"
#include "base/text.h"
#include "client/command_line.h"
#include "client/mpi_rank.h"

namespace waferstream {
namespace {

// Errors are one line each, on stderr.
int Report(const Outcome& outcome) {
  if (outcome.ok()) return static_cast<int>(*outcome);
  std::fprintf(stderr, "waferctl: %s\n", OneLine(outcome.status().message()).c_str());
  return static_cast<int>(ExitCodeOf(outcome.status()));
}

int RunCommand(int argc, char** argv) {
  CLI::App app("Trains neural networks by streaming weights.", "waferctl");
  Outcome outcome = ExitCode::kOk;
  AddCommands(app, outcome);
  FlagSources sources;
  try {
    sources.Parse(app, argc, argv);
  } catch (const CLI::ParseError& error) {
    return ReportParseError("waferctl", app, error);
  } catch (const std::bad_alloc&) {
    outcome = absl::ResourceExhaustedError("out of memory (see ulimit -v)");
  } catch (const std::exception& error) {
    outcome = absl::InternalError(absl::StrCat("bug: ", error.what()));
  }
  return Report(outcome.ok() ? outcome : sources.Named(outcome.status()));
}

// A result that nobody got is no success; commands say so themselves, help does not.
int Main(int argc, char** argv) {
  SettleProcess();
  if (const auto rank = BecomeRank({argv + std::min(argc, 1), argv + argc})) return *rank;
  const int code = RunCommand(argc, argv);
  const absl::Status written = FlushStdout();
  return code == 0 && !written.ok() ? Report(written) : code;
}

}  // namespace
}  // namespace waferstream

int main(int argc, char** argv) { return waferstream::Main(argc, argv); }
