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
#include <memory>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "base/flags.h"
#include "base/own_process.h"
#include "base/regular_file.h"
#include "base/version.h"
#include "node/controller_link.h"
#include "node/grpc_controller_calls.h"
#include "node/local_node.h"
#include "node/node_service.h"
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
bool ParseFlags(int argc, char** argv, NodeRole& role, Flags* flags, int* exit_code) {
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
  role.AddFlags(app);
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

// How the node tells its own main thread to stop, whichever signals it heeds.
constexpr int kWakeSignal = SIGUSR1;

// Blocked before any thread is made, so that only Run's sigwait sees them.
sigset_t BlockStopSignals() {
  signal(kWakeSignal, SIG_DFL);
  const sigset_t signals = HeededSignals({SIGTERM, SIGINT, SIGHUP, kWakeSignal});
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
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
  me.set_build(kVersion);
  me.set_kernel_isa(role.kernel_isa());
  me.set_incarnation(static_cast<uint64_t>(absl::GetCurrentTimeNanos()));
  return me;
}

// The part of a node's life in which it has ports and threads.
class RunningNode {
 public:
  // `stop_signals` are blocked.
  RunningNode(const Flags& flags, const ListenTerms& terms, NodeRole& role,
              const sigset_t& stop_signals)
      : flags_(flags),
        terms_(terms),
        role_(role),
        main_thread_(pthread_self()),
        stop_signals_(stop_signals),
        node_({.fabric = {.listen = terms.address,
                          .port = flags.fabric_port,
                          .advertised_port = flags.advertise_fabric_port,
                          .node_id = flags.id,
                          .credentials = terms.credentials}},
              role, [this](NodeReport report) { link_->Report(std::move(report)); }),
        controller_(node_.loop(), flags.controller, terms.credentials) {
    link_ = std::make_unique<ControllerLink>(
        node_.loop(), controller_,
        ControllerLinkOptions{.node_id = flags.id,
                              .address = flags.controller,
                              .holds = [this] { return node_.shell().holds(); }},
        LogLine, [this](const absl::Status& why) { OnLost(why); });
  }

  // The loop's thread ends before what it uses.
  ~RunningNode() { node_.Stop(); }

  // Serves until a stop signal, or until the controller is lost; the exit code.
  int Run() {
    const absl::Status able = CheckDescriptors("this node", kOwnDescriptors);
    if (!able.ok()) return Fail(flags_, able, kRefused);
    const absl::Status listening = node_.Listen();
    if (!listening.ok()) return Fail(flags_, listening, kRefused);
    const auto server = NodeServer::Start({.listen = terms_.address,
                                           .control_port = flags_.control_port,
                                           .log_path = flags_.log,
                                           .credentials = terms_.credentials},
                                          node_);
    if (!server.ok()) return Fail(flags_, server.status(), kRefused);
    const uint16_t control_port = (*server)->port();
    spdlog::info("node {} ({}): control port {}, fabric port {} on {}, controller {}", flags_.id,
                 Role_Name(role_.kind()), control_port, node_.fabric_port(), terms_.address,
                 flags_.controller);
    node_.loop().Post([this, me = Registration(flags_, role_, control_port, node_.fabric_port())] {
      link_->Start(me);
    });
    int signal = 0;
    sigwait(&stop_signals_, &signal);
    spdlog::info("stopping");
    BoundTheRest();
    node_.Shutdown();
    return exit_code_;
  }

 private:
  void OnLost(const absl::Status& why) {
    exit_code_ = Fail(flags_, why, absl::IsUnavailable(why) ? kUnreachable : kRefused);
    pthread_kill(main_thread_, kWakeSignal);
  }

  const Flags& flags_;
  const ListenTerms terms_;
  NodeRole& role_;
  const pthread_t main_thread_;
  const sigset_t stop_signals_;
  std::atomic<int> exit_code_{kStopped};
  std::unique_ptr<ControllerLink> link_;
  LocalNode node_;
  GrpcControllerCalls controller_;
};

}  // namespace

int RunNode(int argc, char** argv, NodeRole& role) {
  SettleProcess();
  Flags flags;
  int exit_code = kStopped;
  if (!ParseFlags(argc, argv, role, &flags, &exit_code)) return exit_code;
  const absl::StatusOr<ListenTerms> terms = CheckListenFlags(flags.listen);
  if (!terms.ok()) return FailUsage(flags, terms.status());
  if (!OpenLog(flags)) return kRefused;
  return RunningNode(flags, *terms, role, BlockStopSignals()).Run();
}

}  // namespace waferstream
