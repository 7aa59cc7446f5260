// The controller process.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "base/confine.h"
#include "base/file_roots.h"
#include "base/flag_sources.h"
#include "base/flags.h"
#include "base/own_process.h"
#include "base/status.h"
#include "controller/controller_flags.h"
#include "controller/serving_controller.h"

namespace waferstream {
namespace {

// Blocked in every thread, so that only sigwait sees them.
sigset_t BlockStopSignals() {
  const sigset_t signals = HeededSignals({SIGTERM, SIGINT, SIGHUP});
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

absl::Status Run(const ControllerProgramFlags& flags, const ListenTerms& terms,
                 const std::vector<std::string>& roots) {
  const sigset_t stop_signals = BlockStopSignals();
  std::vector<std::string> writes;
  if (!flags.port_file.empty()) writes.push_back(FolderOf(flags.port_file));
  ASSIGN_OR_RETURN(
      const std::unique_ptr<ServingController> controller,
      ServingController::Start({.listen = terms,
                                .host = flags.listen.host,
                                .port = static_cast<uint16_t>(flags.port),
                                .advertise_port = static_cast<uint16_t>(flags.advertise_port),
                                .state_dir = flags.state_dir,
                                .lease_ms = flags.lease_ms,
                                .roots = roots,
                                .writes = writes,
                                .users_file = flags.users_file,
                                .log = flags.log}));
  if (!flags.port_file.empty()) {
    RETURN_IF_ERROR(WritePortFile(flags.port_file, controller->address()));
  }
  int signal = 0;
  sigwait(&stop_signals, &signal);
  controller->Stop();
  return absl::OkStatus();
}

// The documented exit codes (see `waferctl --help`).
enum ExitCode { kStopped = 0, kRefused = 1, kUsage = 2 };

int Fail(const absl::Status& why, ExitCode exit_code) {
  std::fprintf(stderr, "controller: %s\n", std::string(why.message()).c_str());
  return exit_code;
}

int Main(int argc, char** argv) {
  SettleProcess();
  CLI::App app("WaferStream controller: jobs, membership, commits");
  ControllerProgramFlags flags;
  AddControllerProgramFlags(app, flags);
  FlagSources sources;
  try {
    sources.Parse(app, argc, argv);
  } catch (const CLI::ParseError& error) {
    return ReportParseError("controller", app, error);
  }
  const absl::StatusOr<ListenTerms> terms = CheckListenFlags(flags.listen, "controller");
  if (!terms.ok()) return Fail(sources.Named(terms.status()), kUsage);
  const auto roots = ParseRoots(flags.roots);
  if (!roots.ok()) return Fail(sources.Named(roots.status()), kUsage);
  const absl::Status status = sources.Named(Run(flags, *terms, *roots));
  return status.ok() ? kStopped : Fail(status, kRefused);
}

}  // namespace
}  // namespace waferstream

int main(int argc, char** argv) { return waferstream::Main(argc, argv); }
