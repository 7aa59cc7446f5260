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

#include "absl/time/clock.h"
#include "base/flags.h"
#include "base/regular_file.h"
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
  AddName(app, "--id", flags->id, "name of this node, unique in the cluster")->required();
  AddAddress(app, "--controller", flags->controller, "of the controller")->required();
  AddListenFlags(app, flags->listen);
  AddWhole(app, "--fabric-port", flags->fabric_port, "0: any free port [0]");
  AddWhole(app, "--advertise-fabric-port", flags->advertise_fabric_port,
           "where others reach the fabric port, if a proxy, NAT or a NodePort stands before it; 0: "
           "the port itself [0]");
  AddWhole(app, "--control-port", flags->control_port, "0: any free port [0]");
  AddPath(app, "--log", flags->log, "log file; default: standard error");
  AddWord(app, "--log-level", flags->log_level, "debug|info|warn|error",
          "lowest level logged [info]");
  try {
    app.parse(argc, argv);
    return true;
  } catch (const CLI::ParseError& error) {
    *exit_code = ReportParseError(argv[0], app, error);
    return false;
  }
}

bool OpenLog(const Flags& flags) {
  const absl::Status status = flags.log.empty() ? absl::OkStatus() : CheckAppendable(flags.log);
  if (!status.ok()) {
    std::fprintf(stderr, "%s: %s\n", flags.id.c_str(), std::string(status.message()).c_str());
    return false;
  }
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
  // `listen`: the address, a literal, to listen on.
  RunningNode(const Flags& flags, const std::string& listen, NodeRole& role)
      : flags_(flags),
        listen_(listen),
        role_(role),
        main_thread_(pthread_self()),
        link_({.node_id = flags.id, .address = flags.controller},
              [this](const absl::Status& why) { OnLost(why); }),
        shell_({.node_id = flags.id, .listen = listen, .fabric_port = flags.fabric_port}, role,
               [this](NodeReport report) { link_.Report(std::move(report)); }) {}

  // Serves until a stop signal, or until the controller is lost; the exit code.
  int Run() {
    const absl::Status listening = shell_.Listen();
    if (!listening.ok()) return Fail(flags_, listening, kRefused);
    const auto server = NodeServer::Start(
        {.listen = listen_, .control_port = flags_.control_port, .log_path = flags_.log}, shell_);
    if (!server.ok()) return Fail(flags_, server.status(), kRefused);
    const uint16_t control_port = (*server)->port();
    spdlog::info("node {} ({}): control port {}, fabric port {} on {}, controller {}", flags_.id,
                 Role_Name(role_.kind()), control_port, shell_.fabric_port(), listen_,
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
  const std::string listen_;
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
  const absl::StatusOr<std::string> listen = ListenAddress(flags.listen);
  if (!listen.ok()) return FailUsage(flags, listen.status());
  if (!OpenLog(flags)) return kRefused;
  // Blocked here, before any thread is made, so that only Run's sigwait sees them.
  const sigset_t signals = StopSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return RunningNode(flags, *listen, role).Run();
}

}  // namespace waferstream
