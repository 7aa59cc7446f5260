// A whole cluster on this machine: one controller and the nodes of every role, each a process.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/credentials.h"
#include "client/binaries.h"
#include "client/child_process.h"
#include "client/cluster_health.h"
#include "client/interrupt.h"
#include "plan/plan.h"

namespace CLI {
class App;
}

namespace waferstream {

struct LocalClusterOptions {
  ClusterShape shape;
  std::string dir;              // absolute; gets logs/ and state/, and there the cluster's secret
  std::string kernel_isa = {};  // of the wafer nodes (--kernel-isa); empty: the CPU's best
  bool traces = false;          // each process writes one, to TraceFolderIn(dir)
  std::string fabric = {};      // of the nodes (--fabric); empty: theirs
  int controller_port = 0;      // 0: any free one
  bool stays = false;           // outlives this process (`up`)
  int inherited_fd = -1;        // every process keeps this descriptor open
  // Called after every start of a process, the first and any other; an error stops the cluster.
  std::function<absl::Status(const ChildProcess&)> on_start;
};

// --fabric, of the nodes that are started; empty: not given.
void AddFabricFlag(CLI::App& app, std::string& fabric);

// How many descriptors a process of such a cluster, or its starter, has open at most.
size_t DescriptorsNeeded(const ClusterShape& shape);

// A process that an earlier `up` left running, or that has ended since.
struct LeftProcess {
  std::string name;
  ProcessIdentity identity;
};

// A process that is started more often than this does not fail by accident.
inline constexpr int kRestartsMax = 20;
inline constexpr absl::Duration kRestartWindow = absl::Minutes(1);

// Runs from Start() until Stop(), the destructor, or the death of this process. Used from the main
// thread only (ChildProcess says why). Every port is chosen by the system, so clusters never
// collide.
class LocalCluster {
 public:
  // Returns when every node has registered. If any process ends before that, or it takes too long,
  // or the user interrupts (CANCELLED), all are ended and the error says what happened, with the
  // last line of the log in question. RESOURCE_EXHAUSTED: more descriptors are needed than allowed.
  static absl::StatusOr<LocalCluster> Start(const LocalClusterOptions& options,
                                            const InterruptCounter& interrupts);

  // Takes over a cluster whose starter is gone: `processes` as Start named them, `address` of its
  // controller. Those that have ended count as casualties of now.
  static absl::StatusOr<LocalCluster> TakeOver(const LocalClusterOptions& options,
                                               const std::string& address,
                                               const std::vector<LeftProcess>& processes);

  LocalCluster(LocalCluster&&) = default;
  ~LocalCluster() { Stop(); }

  // host:port.
  const std::string& controller_address() const { return address_; }
  // What its processes ask of whoever calls them.
  const Credentials& credentials() const { return credentials_; }

  // One line for every process that ended since the last call, which nobody asked to end.
  std::vector<std::string> TakeCasualties();
  // Ends every process that does not answer (AnswerCount), and starts every one that ended again,
  // under its id and with its flags (the controller on its port and its state), with one line to
  // `note` each. Does not wait for answers: to be called several times a second. ABORTED: a process
  // does not stay up, however often it is started (kRestartsMax within kRestartWindow).
  absl::Status Heal(const std::function<void(const std::string&)>& note);

  // SIGTERM, a bounded wait, SIGKILL; all are gone on return. Idempotent.
  void Stop();
  // SIGKILL at once, for a user in a hurry.
  void Kill() { processes_.clear(); }

 private:
  // How a process is started, and how it fared.
  struct Life {
    ProcessSpec spec;
    bool reported = false;                 // its end, by TakeCasualties
    bool hung = false;                     // it did not answer, and was ended for that
    std::deque<absl::Time> restarts = {};  // within kRestartWindow
  };

  explicit LocalCluster(const LocalClusterOptions& options) : options_(options) {}
  absl::Status StartController(const std::string& binary, const InterruptCounter& interrupts);
  absl::Status StartNodes(const RoleBinaries& binaries);
  absl::Status AwaitRegistration(const InterruptCounter& interrupts);
  void WatchHealth();
  ProcessSpec Spec(const std::string& name, std::vector<std::string> argv) const;
  ProcessSpec ControllerSpec(const std::string& binary, const std::string& port) const;
  ProcessSpec NodeSpec(const std::string& binary, const std::string& id) const;
  std::string PortFile() const { return options_.dir + "/state/controller.port"; }
  absl::Status Launch(const ProcessSpec& spec);
  absl::Status Restart(size_t index);
  absl::Status CheckStartUp(const InterruptCounter& interrupts, absl::Time deadline);
  void EndHung();
  std::string HowItFared(size_t index) const;

  LocalClusterOptions options_;
  std::string address_;
  Credentials credentials_;
  std::vector<ChildProcess> processes_;  // [0] is the controller
  std::vector<Life> lives_;              // of processes_
  std::unique_ptr<ClusterHealth> health_;
};

}  // namespace waferstream
