#include "node/run_node.h"

#include <pthread.h>
#include <signal.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/host_port.h"
#include "node/controller_link.h"
#include "node/node_service.h"
#include "node/node_shell.h"
#include "rpc/listen_flags.h"

namespace waferstream {
namespace {

// The documented exit codes (see `waferctl --help`).
enum ExitCode { kStopped = 0, kRefused = 1, kUsage = 2, kUnreachable = 4 };

constexpr unsigned kStopSecondsMax = 5;

struct Flags {
  std::string id;
  std::string controller;
  ListenFlags listen;
  uint16_t fabric_port = 0;
  uint16_t advertise_fabric_port = 0;
  uint16_t control_port = 0;
  std::string log;
  std::string log_level = "info";
};

// Returns false when the process should exit with *exit_code.
bool ParseFlags(int argc, char** argv, Flags* flags, int* exit_code) {
  CLI::App app("A WaferStream node. It registers with a controller and then does what it is told.");
  app.add_option("--id", flags->id, "name of this node, unique in the cluster")->required();
  app.add_option("--controller", flags->controller, "host:port of the controller")->required();
  AddListenFlags(app, flags->listen);
  app.add_option("--fabric-port", flags->fabric_port, "0: any free port")->capture_default_str();
  app.add_option("--advertise-fabric-port", flags->advertise_fabric_port,
                 "where others reach the fabric port, if a proxy, NAT or a NodePort stands before "
                 "it; 0: the port itself")
      ->capture_default_str();
  app.add_option("--control-port", flags->control_port, "0: any free port")->capture_default_str();
  app.add_option("--log", flags->log, "log file; default: standard error");
  app.add_option("--log-level", flags->log_level, "lowest level logged")
      ->capture_default_str()
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
  try {
    app.parse(argc, argv);
    return true;
  } catch (const CLI::ParseError& error) {
    *exit_code = app.exit(error) == 0 ? kStopped : kUsage;
    return false;
  }
}

bool OpenLog(const Flags& flags) {
  try {
    spdlog::set_default_logger(flags.log.empty() ? spdlog::stderr_logger_mt(flags.id)
                                                 : spdlog::basic_logger_mt(flags.id, flags.log));
  } catch (const spdlog::spdlog_ex& error) {
    std::fprintf(stderr, "%s: cannot write the log: %s\n", flags.id.c_str(), error.what());
    return false;
  }
  spdlog::set_level(spdlog::level::from_str(flags.log_level));
  spdlog::flush_on(spdlog::level::trace);  // ReadLog, and a crash, must find the last line
  return true;
}

// What the flags name: addresses, and the secret's file. An error names the flag.
absl::StatusOr<ListenTerms> CheckFlags(const Flags& flags) {
  const absl::Status controller = SplitHostPort(flags.controller).status();
  if (controller.ok()) return CheckListenFlags(flags.listen);
  return absl::InvalidArgumentError(absl::StrCat("--controller: ", controller.message()));
}

int FailUsage(const Flags& flags, const absl::Status& why) {
  std::fprintf(stderr, "%s: %s\n", flags.id.c_str(), std::string(why.message()).c_str());
  return kUsage;
}

// One line for whoever started the process, and in the log if that is another place.
int Fail(const Flags& flags, const absl::Status& why, int exit_code) {
  const std::string line(why.message());
  if (!flags.log.empty()) std::fprintf(stderr, "%s: %s\n", flags.id.c_str(), line.c_str());
  spdlog::critical("{}", line);
  return exit_code;
}

sigset_t StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

// After this, a clean-up that hangs (a kernel that does not return) ends with the process.
void BoundTheRest() {
  signal(SIGALRM, [](int) { _exit(kRefused); });
  alarm(kStopSecondsMax);
}

RegisterRequest Registration(const Flags& flags, const NodeRole& role, uint16_t control_port,
                             uint16_t fabric_port) {
  RegisterRequest me;
  me.set_node_id(flags.id);
  me.set_role(role.kind());
  me.set_host(flags.listen.host);
  me.set_control_port(control_port);
  me.set_fabric_port(flags.advertise_fabric_port ? flags.advertise_fabric_port : fabric_port);
  me.set_protocol_version(kProtocolVersion);
  me.set_kernel_isa(role.kernel_isa());
  me.set_incarnation(static_cast<uint64_t>(absl::GetCurrentTimeNanos()));
  return me;
}

// The part of a node's life in which it has ports and threads.
class RunningNode {
 public:
  RunningNode(const Flags& flags, const ListenTerms& terms, NodeRole& role)
      : flags_(flags),
        terms_(terms),
        role_(role),
        main_thread_(pthread_self()),
        link_({.node_id = flags.id, .address = flags.controller, .credentials = terms.credentials},
              [this](const absl::Status& why) { OnLost(why); }),
        shell_({.node_id = flags.id,
                .listen = terms.address,
                .fabric_port = flags.fabric_port,
                .advertise_fabric_port = flags.advertise_fabric_port,
                .credentials = terms.credentials},
               role, [this](NodeReport report) { link_.Report(std::move(report)); }) {}

  // Serves until a stop signal, or until the controller is lost; the exit code.
  int Run() {
    const absl::Status listening = shell_.Listen();
    if (!listening.ok()) return Fail(flags_, listening, kRefused);
    const auto server = NodeServer::Start({.listen = terms_.address,
                                           .control_port = flags_.control_port,
                                           .log_path = flags_.log,
                                           .credentials = terms_.credentials},
                                          shell_);
    if (!server.ok()) return Fail(flags_, server.status(), kRefused);
    const uint16_t control_port = (*server)->port();
    spdlog::info("node {} ({}): control port {}, fabric port {} on {}, controller {}", flags_.id,
                 Role_Name(role_.kind()), control_port, shell_.fabric_port(), terms_.address,
                 flags_.controller);
    link_.Start(Registration(flags_, role_, control_port, shell_.fabric_port()));
    const sigset_t signals = StopSignals();
    int signal = 0;
    sigwait(&signals, &signal);
    spdlog::info("stopping");
    BoundTheRest();
    shell_.Shutdown();
    return exit_code_;
  }

 private:
  void OnLost(const absl::Status& why) {
    exit_code_ = Fail(flags_, why, absl::IsUnavailable(why) ? kUnreachable : kRefused);
    pthread_kill(main_thread_, SIGTERM);
  }

  const Flags& flags_;
  const ListenTerms terms_;
  NodeRole& role_;
  const pthread_t main_thread_;
  std::atomic<int> exit_code_{kStopped};
  ControllerLink link_;
  NodeShell shell_;
};

}  // namespace

int RunNode(int argc, char** argv, NodeRole& role) {
  Flags flags;
  int exit_code = kStopped;
  if (!ParseFlags(argc, argv, &flags, &exit_code)) return exit_code;
  const absl::StatusOr<ListenTerms> terms = CheckFlags(flags);
  if (!terms.ok()) return FailUsage(flags, terms.status());
  if (!OpenLog(flags)) return kRefused;
  // Blocked here, before any thread is made, so that only Run's sigwait sees them.
  const sigset_t signals = StopSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return RunningNode(flags, *terms, role).Run();
}

}  // namespace waferstream
