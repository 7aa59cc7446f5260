// The controller process.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "base/flags.h"
#include "base/own_process.h"
#include "base/status.h"
#include "base/version.h"
#include "controller/serving_controller.h"
#include "rpc/listen_flags.h"

namespace waferstream {
namespace {

struct Flags {
  ListenFlags listen;
  int port = 0;
  int advertise_port = 0;
  std::string state_dir;
  std::string port_file;
  int lease_ms = 1000;
  std::string log_file;
};

void Declare(CLI::App& app, Flags& flags) {
  app.set_version_flag("--version", kVersion);
  AddListenFlags(app, flags.listen);
  AddWhole(app, "--port", flags.port, "Port to listen on; 0: any free one [0]", {.high = 65535});
  AddWhole(app, "--advertise-port", flags.advertise_port,
           "Where others reach the port, if NAT or a NodePort stands before it [the port]",
           {.high = 65535});
  AddPath(app, "--state", flags.state_dir, "Directory for jobs, losses and checkpoints")
      ->required();
  AddPath(app, "--port-file", flags.port_file, "Gets host:port once the controller is ready");
  AddWhole(app, "--lease-ms", flags.lease_ms, "A node silent for so long is lost [1000]",
           {.low = 100, .high = 3600000});
  AddPath(app, "--log", flags.log_file, "Log file; without it, standard error");
}

// Blocked in every thread, so that only sigwait sees them.
sigset_t BlockStopSignals() {
  const sigset_t signals = HeededSignals({SIGTERM, SIGINT, SIGHUP});
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

absl::Status Run(const Flags& flags, const ListenTerms& terms) {
  const sigset_t stop_signals = BlockStopSignals();
  ASSIGN_OR_RETURN(
      const std::unique_ptr<ServingController> controller,
      ServingController::Start({.listen = terms,
                                .host = flags.listen.host,
                                .port = static_cast<uint16_t>(flags.port),
                                .advertise_port = static_cast<uint16_t>(flags.advertise_port),
                                .state_dir = flags.state_dir,
                                .lease_ms = flags.lease_ms,
                                .log_file = flags.log_file}));
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
  Flags flags;
  Declare(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return ReportParseError("controller", app, error);
  }
  const absl::StatusOr<ListenTerms> terms = CheckListenFlags(flags.listen, "controller");
  if (!terms.ok()) return Fail(terms.status(), kUsage);
  const absl::Status status = Run(flags, *terms);
  return status.ok() ? kStopped : Fail(status, kRefused);
}

}  // namespace
}  // namespace waferstream

int main(int argc, char** argv) { return waferstream::Main(argc, argv); }
