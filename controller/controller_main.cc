// The controller process.
#include <signal.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "base/flags.h"
#include "base/host_port.h"
#include "base/own_process.h"
#include "base/regular_file.h"
#include "base/status.h"
#include "base/user_input.h"
#include "base/version.h"
#include "controller/controller_service.h"
#include "controller/local_controller.h"
#include "rpc/listen_flags.h"
#include "rpc/server.h"

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

// Whoever waits for the file never sees half of it.
absl::Status WritePortFile(const std::string& path, const std::string& address) {
  const std::string unfinished = path + ".tmp";
  std::ofstream(unfinished) << address << "\n" << std::flush;
  std::error_code error;
  std::filesystem::rename(unfinished, path, error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("port file ", path, ": ", error.message()));
}

absl::StatusOr<std::shared_ptr<spdlog::logger>> OpenLog(const std::string& path) {
  if (!path.empty()) RETURN_IF_ERROR(CheckAppendable(path));
  try {
    auto log = path.empty() ? spdlog::stderr_logger_mt("controller")
                            : spdlog::basic_logger_mt("controller", path);
    log->flush_on(spdlog::level::info);
    return log;
  } catch (const spdlog::spdlog_ex& error) {
    return absl::UnavailableError(absl::StrCat("log file ", path, ": ", error.what()));
  }
}

// Blocked in every thread, so that only sigwait sees them.
sigset_t BlockStopSignals() {
  const sigset_t signals = HeededSignals({SIGTERM, SIGINT, SIGHUP});
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

absl::Status Run(const Flags& flags, const ListenTerms& terms) {
  RETURN_IF_ERROR(CheckDescriptors("this controller", kOwnDescriptors));
  const sigset_t stop_signals = BlockStopSignals();
  ASSIGN_OR_RETURN(const std::shared_ptr<spdlog::logger> log, OpenLog(flags.log_file));
  LocalController::Options options;
  ASSIGN_OR_RETURN(options.state_dir, AbsolutePath("--state", flags.state_dir));
  RETURN_IF_ERROR(CheckText("--state", options.state_dir));
  options.lease_ms = flags.lease_ms;
  options.credentials = terms.credentials;
  options.log = [log](const std::string& line) { log->info(line); };
  ASSIGN_OR_RETURN(const std::unique_ptr<LocalController> controller,
                   LocalController::Open(std::move(options)));

  ControllerService service(*controller, terms.credentials);
  ASSIGN_OR_RETURN(
      const RunningServer running,
      StartServer(service, {.listen = terms.address,
                            .port = static_cast<uint16_t>(flags.port),
                            .advertised_port = static_cast<uint16_t>(flags.advertise_port),
                            .door = &service.door()}));
  const std::string address = JoinHostPort(
      flags.listen.host, flags.advertise_port != 0 ? flags.advertise_port : running.port);
  log->info("listening on {}, reached at {}, state in {}",
            JoinHostPort(terms.address, running.port), address, controller->options().state_dir);
  if (!flags.port_file.empty()) RETURN_IF_ERROR(WritePortFile(flags.port_file, address));

  int signal = 0;
  sigwait(&stop_signals, &signal);
  log->info("stopping on signal {}", signal);
  controller->BeginStop();
  running.server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
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
  const absl::StatusOr<ListenTerms> terms = CheckListenFlags(flags.listen);
  if (!terms.ok()) return Fail(terms.status(), kUsage);
  const absl::Status status = Run(flags, *terms);
  return status.ok() ? kStopped : Fail(status, kRefused);
}

}  // namespace
}  // namespace waferstream

int main(int argc, char** argv) { return waferstream::Main(argc, argv); }
