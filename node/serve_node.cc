#include "node/serve_node.h"

#include <pthread.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/time/clock.h"
#include "base/confine.h"
#include "base/own_process.h"
#include "base/status.h"
#include "base/version.h"
#include "node/controller_link.h"
#include "node/grpc_controller_calls.h"
#include "node/node_metrics.h"
#include "node/node_service.h"
#include "rpc/health_server.h"
#include "rpc/metrics_server.h"

namespace waferstream {
namespace {

// The documented exit codes (see `waferctl --help`).
enum ExitCode { kStopped = 0, kRefused = 1, kUnreachable = 4, kCutShort = 6 };

constexpr unsigned kStopSecondsMax = 5;

// One line for whoever started the process, and in the log if that is another place.
int Fail(const NodeTerms& terms, const absl::Status& why, int exit_code) {
  const std::string line(why.message());
  if (!terms.log.file.empty()) std::fprintf(stderr, "%s: %s\n", terms.id.c_str(), line.c_str());
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

// Its log it has open, and reads when somebody asks for it.
absl::Status Confine(const NodeTerms& terms) {
  ConfineTerms beside = {.writable = {}, .readable = FoldersOf(terms.listen.credentials)};
  if (!terms.log.file.empty()) beside.readable.push_back(terms.log.file);
  return ConfineToRoots(terms.roots, beside,
                        [](const std::string& line) { spdlog::info("{}", line); });
}

RegisterRequest Registration(const NodeTerms& terms, const NodeRole& role, uint16_t control_port,
                             uint16_t fabric_port) {
  RegisterRequest me;
  me.set_node_id(terms.id);
  me.set_role(role.kind());
  me.set_host(terms.host);
  me.set_control_port(control_port);
  me.set_fabric_port(terms.advertise_fabric_port ? terms.advertise_fabric_port : fabric_port);
  me.set_protocol_version(NewestProtocol());
  me.set_protocol_oldest(OldestProtocol());
  me.set_build(Version());
  me.set_numerics(Numerics());
  me.set_kernel_isa(role.kernel_isa());
  me.set_incarnation(static_cast<uint64_t>(absl::GetCurrentTimeNanos()));
  return me;
}

// The part of a node's life in which it has ports and threads.
class RunningNode {
 public:
  // `stop_signals` are blocked.
  RunningNode(const NodeTerms& terms, NodeRole& role, const sigset_t& stop_signals)
      : terms_(terms),
        role_(role),
        main_thread_(pthread_self()),
        stop_signals_(stop_signals),
        node_({.node_id = terms.id, .fabric = terms.fabric}, role,
              [this](NodeReport report) { link_->Report(std::move(report)); }),
        controller_(node_.loop(), terms.controller, terms.listen.credentials) {
    link_ = std::make_unique<ControllerLink>(
        node_.loop(), controller_,
        ControllerLinkOptions{.node_id = terms.id,
                              .address = terms.controller,
                              .patience = terms.patience,
                              .holds = [this] { return node_.shell().holds(); }},
        LogLine, [this](const absl::Status& why) { OnLost(why); });
  }

  // The loop's thread ends before what it uses.
  ~RunningNode() { node_.Stop(); }

  // Serves until a stop signal, or until the controller is lost; the exit code.
  int Run() {
    const absl::Status able = CheckDescriptors("this node", kOwnDescriptors);
    if (!able.ok()) return Fail(terms_, able, kRefused);
    const auto health = ServeHealth();
    if (!health.ok()) return Fail(terms_, health.status(), kRefused);
    const absl::Status listening = node_.Listen();
    if (!listening.ok()) return Fail(terms_, listening, kRefused);
    const auto server = NodeServer::Start({.listen = terms_.listen.address,
                                           .control_port = terms_.control_port,
                                           .log_path = terms_.log.file,
                                           .credentials = terms_.listen.credentials},
                                          node_);
    if (!server.ok()) return Fail(terms_, server.status(), kRefused);
    const auto metrics = ServeMetrics();
    if (!metrics.ok()) return Fail(terms_, metrics.status(), kRefused);
    const uint16_t control_port = (*server)->port();
    spdlog::info("node {} ({}): control port {}, fabric port {} on {}, controller {}", terms_.id,
                 Role_Name(role_.kind()), control_port, node_.fabric_port(), terms_.listen.address,
                 terms_.controller);
    node_.loop().Post([this, me = Registration(terms_, role_, control_port, node_.fabric_port())] {
      link_->Start(me);
    });
    if (AwaitSignal() == SIGTERM && terms_.grace > absl::ZeroDuration()) LeaveInOrder();
    spdlog::info("stopping");
    BoundTheRest();
    node_.Shutdown();
    return exit_code_;
  }

 private:
  int AwaitSignal() const {
    int signal = 0;
    sigwait(&stop_signals_, &signal);
    return signal;
  }

  // Works on until nobody needs this node any more; at most for `grace`, or until somebody is in a
  // hurry.
  void LeaveInOrder() {
    spdlog::info("told to stop: leaving within {}", absl::FormatDuration(terms_.grace));
    int running = kStopped;
    exit_code_.compare_exchange_strong(running, kCutShort);  // until it has left
    node_.loop().Post(
        [this] { link_->Leave(terms_.grace, [this](const absl::Status& how) { OnLeft(how); }); });
    if (AwaitSignal() != kWakeSignal) spdlog::warn("told to stop again: ending at once");
  }

  void OnLeft(const absl::Status& how) {
    exit_code_ = how.ok() ? kStopped : Fail(terms_, how, kCutShort);
    pthread_kill(main_thread_, kWakeSignal);
  }

  // Null: nobody wants it.
  absl::StatusOr<std::unique_ptr<HealthServer>> ServeHealth() {
    if (!terms_.listen.health_port) return nullptr;
    ASSIGN_OR_RETURN(auto health,
                     HealthServer::Start({.listen = terms_.listen.address,
                                          .port = *terms_.listen.health_port,
                                          .ask = [this](std::function<void(bool)> answer) {
                                            node_.loop().Post([this, answer = std::move(answer)] {
                                              answer(link_->ready());
                                            });
                                          }}));
    spdlog::info("health port {} on {}", health->port(), terms_.listen.address);
    return health;
  }

  // Null: nobody wants them.
  absl::StatusOr<std::unique_ptr<MetricsServer>> ServeMetrics() {
    if (!terms_.listen.metrics_port) return nullptr;
    const Role role = role_.kind();
    ASSIGN_OR_RETURN(auto metrics,
                     MetricsServer::Start(
                         {.listen = terms_.listen.address,
                          .port = *terms_.listen.metrics_port,
                          .process = absl::AsciiStrToLower(Role_Name(role)),
                          .tls = terms_.listen.credentials.tls,
                          .collect = [this, role] { return NodeMetrics(role, node_.facts()); }}));
    spdlog::info("metrics port {} on {}", metrics->port(), terms_.listen.address);
    return metrics;
  }

  void OnLost(const absl::Status& why) {
    exit_code_ = Fail(terms_, why, absl::IsUnavailable(why) ? kUnreachable : kRefused);
    pthread_kill(main_thread_, kWakeSignal);
  }

  const NodeTerms& terms_;
  NodeRole& role_;
  const pthread_t main_thread_;
  const sigset_t stop_signals_;
  std::atomic<int> exit_code_{kStopped};
  std::unique_ptr<ControllerLink> link_;
  LocalNode node_;
  GrpcControllerCalls controller_;
};

}  // namespace

int ServeNode(const NodeTerms& terms, NodeRole& role) {
  const auto log = OpenLog(terms.id, terms.log);
  if (!log.ok()) {
    std::fprintf(stderr, "%s: %s\n", terms.id.c_str(), std::string(log.status().message()).c_str());
    return kRefused;
  }
  spdlog::set_default_logger(*log);
  const absl::Status confined = Confine(terms);
  if (!confined.ok()) return Fail(terms, confined, kRefused);
  return RunningNode(terms, role, BlockStopSignals()).Run();
}

}  // namespace waferstream
