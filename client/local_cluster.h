// A whole cluster on this machine: one controller and the nodes of every role, each a process.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/binaries.h"
#include "client/child_process.h"
#include "client/interrupt.h"
#include "plan/plan.h"

namespace waferstream {

struct LocalClusterOptions {
  ClusterShape shape;
  std::string dir;              // absolute; gets logs/ and state/
  std::string kernel_isa = {};  // of the wafer nodes (--kernel-isa); empty: the CPU's best
  int controller_port = 0;      // 0: any free one
  bool stays = false;           // outlives this process (`up`)
  int inherited_fd = -1;        // every process keeps this descriptor open
  // Called after every start of a process; an error stops the cluster again.
  std::function<absl::Status(const ChildProcess&)> on_start;
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
  // last line of the log in question.
  static absl::StatusOr<LocalCluster> Start(const LocalClusterOptions& options,
                                            const InterruptCounter& interrupts);

  LocalCluster(LocalCluster&&) = default;
  ~LocalCluster() { Stop(); }

  // host:port.
  const std::string& controller_address() const { return address_; }

  // One line for every process that ended since the last call, which nobody asked to end.
  std::vector<std::string> TakeCasualties();
  // Starts every process that ended again, under its id and with its flags (the controller on its
  // port and its state), with one line to `note` each. ABORTED: a process does not stay up, however
  // often it is started (kRestartsMax within kRestartWindow).
  absl::Status Heal(const std::function<void(const std::string&)>& note);

  // SIGTERM, a bounded wait, SIGKILL; all are gone on return. Idempotent.
  void Stop();
  // SIGKILL at once, for a user in a hurry.
  void Kill() { processes_.clear(); }
  // Leaves the processes to themselves.
  void Release();

 private:
  LocalCluster() = default;
  absl::Status StartController(const LocalClusterOptions& options, const std::string& binary,
                               const InterruptCounter& interrupts);
  absl::Status StartNodes(const LocalClusterOptions& options, const RoleBinaries& binaries);
  absl::Status AwaitRegistration(const InterruptCounter& interrupts);
  absl::Status Launch(const LocalClusterOptions& options, const std::string& name,
                      std::vector<std::string> argv);
  absl::Status CheckStartUp(const InterruptCounter& interrupts, absl::Time deadline);

  // How a process was started, and how it fared.
  struct Life {
    ProcessSpec spec;
    bool reported = false;                 // its end, by TakeCasualties
    std::deque<absl::Time> restarts = {};  // within kRestartWindow
  };

  std::string address_;
  std::vector<ChildProcess> processes_;  // [0] is the controller
  std::vector<Life> lives_;              // of processes_
};

}  // namespace waferstream
