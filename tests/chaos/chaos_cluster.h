// A cluster of real processes that a test does terrible things to.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "client/binaries.h"
#include "client/child_process.h"
#include "client/controller_client.h"
#include "plan/plan.h"
#include "proto/controller.pb.h"
#include "tests/chaos/fault_proxy.h"

namespace waferstream {

struct ChaosOptions {
  ClusterShape shape = {};  // processes to start; more than a job asks for are spares
  int lease_ms = 600;
  std::string fabric = {};              // of all nodes (--fabric); empty: not given
  std::set<std::string> proxied = {};   // nodes that others reach through a FaultProxy, over TCP
  std::string faulty = "";              // this node is of the build that flips a bit,
  std::string flip = "";                // this one (base/fault_spec.h)
  std::filesystem::path state = {};     // of the controller; empty: in the test's folder
  std::filesystem::path programs = {};  // where they are; empty: where this build has them
};

// Controller "controller" and nodes "memoryx-0", "swarmx-0", "wafer-0", ..., each a process, on a
// network of their own where the system allows that. Lives in a folder of the test's; at its end
// every process is killed. Fails the test when a process ends that nobody ended here: a crash is a
// bug even if the job survives it. Used from the main thread only (ChildProcess says why).
class ChaosCluster {
 public:
  // Returns when every node has registered.
  ChaosCluster(const std::string& name, const ChaosOptions& options);
  ~ChaosCluster();

  const std::filesystem::path& dir() const { return dir_; }
  ControllerClient& client() { return *client_; }

  // What is started from now on are the programs of another release, in this folder; empty: again
  // those of the first ones.
  void Use(const std::filesystem::path& programs);
  // Starts a process, for the first time or again: same id, same ports for those behind a proxy and
  // for the controller, same state.
  void Start(const std::string& id);
  // SIGKILL; returns when it is gone.
  void Kill(const std::string& id);
  // SIGTERM; returns the exit code when it is gone.
  std::optional<int> Stop(const std::string& id);
  void Signal(const std::string& id, int signal);
  pid_t pid(const std::string& id) { return processes_.at(id).pid(); }
  FaultProxy& proxy(const std::string& id) { return *proxies_.at(id); }

  // Whether the controller does.
  bool Answers();

  // Submits and answers with the job's id.
  std::string Submit(const JobSpec& job);
  // The job's status; the last one known while the controller does not answer.
  JobStatus Get(const std::string& job_id);
  // Polls until `condition` holds; fails the test, with the job's events and what the processes
  // said last, when it does not within `limit`.
  JobStatus Await(const std::string& job_id, const std::function<bool(const JobStatus&)>& condition,
                  absl::Duration limit = absl::Seconds(90));
  // DONE, FAILED, CANCELLED or PAUSED.
  JobStatus AwaitEnd(const std::string& job_id);
  // What the controller says of a node.
  NodeStatus Node(const std::string& id);
  // The job's events, one a line.
  std::string Events(const std::string& job_id);

 private:
  void StartController();
  void AwaitRegistration();
  std::vector<std::string> Command(const std::string& id);
  void ReportCrashes();
  std::string LastWords() const;

  const std::filesystem::path dir_;
  const ChaosOptions options_;
  RoleBinaries binaries_;
  std::string controller_address_;
  std::unique_ptr<ControllerClient> client_;
  std::map<std::string, std::unique_ptr<FaultProxy>> proxies_;  // by node id
  std::map<std::string, ChildProcess> processes_;
  std::set<std::string> killed_;  // or stopped, here, and not started again
  std::map<std::string, JobStatus> last_;
};

// Whether nothing happens to the job any more without somebody's doing.
bool HasEnded(const JobStatus& job);

}  // namespace waferstream
