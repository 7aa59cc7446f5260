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
#include "base/host_port.h"
#include "base/status.h"
#include "base/version.h"
#include "controller/controller_host.h"
#include "controller/controller_service.h"
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
  app.add_option("--port", flags.port, "Port to listen on; 0: any free one")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  app.add_option("--advertise-port", flags.advertise_port,
                 "Where others reach the port, if NAT or a NodePort stands before it [the port]")
      ->check(CLI::Range(0, 65535));
  app.add_option("--state", flags.state_dir, "Directory for jobs, losses and checkpoints")
      ->required();
  app.add_option("--port-file", flags.port_file, "Gets host:port once the controller is ready");
  app.add_option("--lease-ms", flags.lease_ms, "A node silent for so long is lost")
      ->check(CLI::Range(100, 3600000))
      ->capture_default_str();
  app.add_option("--log", flags.log_file, "Log file; without it, standard error");
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
  signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

absl::Status Run(const Flags& flags, const ListenTerms& terms) {
  const sigset_t stop_signals = BlockStopSignals();
  ASSIGN_OR_RETURN(const std::shared_ptr<spdlog::logger> log, OpenLog(flags.log_file));
  // Nodes and checkpoints may be elsewhere in the file system's eyes: give them absolute paths.
  ControllerHost::Options options;
  options.state_dir = std::filesystem::absolute(flags.state_dir).lexically_normal().string();
  options.lease_ms = flags.lease_ms;
  options.credentials = terms.credentials;
  options.log = [log](const std::string& line) { log->info(line); };
  ASSIGN_OR_RETURN(const std::unique_ptr<ControllerHost> host,
                   ControllerHost::Open(std::move(options)));

  ControllerService service(*host, terms.credentials);
  ASSIGN_OR_RETURN(
      const RunningServer running,
      StartServer(service, {.listen = terms.address,
                            .port = static_cast<uint16_t>(flags.port),
                            .advertised_port = static_cast<uint16_t>(flags.advertise_port),
                            .door = &service.door()}));
  const std::string address = JoinHostPort(
      flags.listen.host, flags.advertise_port != 0 ? flags.advertise_port : running.port);
  log->info("listening on {}, reached at {}, state in {}",
            JoinHostPort(terms.address, running.port), address, host->options().state_dir);
  if (!flags.port_file.empty()) RETURN_IF_ERROR(WritePortFile(flags.port_file, address));

  int signal = 0;
  sigwait(&stop_signals, &signal);
  log->info("stopping on signal {}", signal);
  host->BeginStop();
  running.server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
  host->Stop();
  return absl::OkStatus();
}

// The documented exit codes (see `waferctl --help`).
enum ExitCode { kStopped = 0, kRefused = 1, kUsage = 2 };

int Fail(const absl::Status& why, ExitCode exit_code) {
  std::fprintf(stderr, "controller: %s\n", std::string(why.message()).c_str());
  return exit_code;
}

int Main(int argc, char** argv) {
  CLI::App app("WaferStream controller: jobs, membership, commits");
  Flags flags;
  Declare(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kStopped : kUsage;
  }
  const absl::StatusOr<ListenTerms> terms = CheckListenFlags(flags.listen);
  if (!terms.ok()) return Fail(terms.status(), kUsage);
  const absl::Status status = Run(flags, *terms);
  return status.ok() ? kStopped : Fail(status, kRefused);
}

}  // namespace
}  // namespace waferstream

int main(int argc, char** argv) { return waferstream::Main(argc, argv); }
