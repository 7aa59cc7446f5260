// A scripted cluster around a ControllerCore, for tests: nodes that answer, a store that remembers,
// and a clock that stands still unless it is moved.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/version.h"
#include "controller/controller_core.h"
#include "plan/test_job.h"

namespace waferstream {

// 3 steps on 2 MemoryX, 1 SwarmX and 2 wafer nodes, with a checkpoint after 2 and 3 steps.
JobSpec SmallJob();

// "Prepare", "Commit", ...
std::string KindOf(const NodeRequest& request);

class FakeCluster {
 public:
  explicit FakeCluster(RestoredState restored = {}, double now = 100);

  // -- the outside world -------------------------------------------------------------------------
  absl::Status AddNode(const std::string& id, Role role, const std::string& isa = "avx2",
                       uint64_t incarnation = 1);
  // m0 m1 s0 w0 w1: what SmallJob asks for.
  void AddNodes();
  // The clock moves; nodes in `alive` (all: empty) are heard of first.
  void Pass(double seconds, const std::vector<std::string>& alive = {});
  // The clock stands.
  void Beat(const std::string& node_id);
  // Hands the job in; Settle or StepOnce makes it durable. Returns its id when it has one already.
  // `admitted`: what admission found out beside the plan. It is a job of `user`.
  void Submit(const JobSpec& job, const std::string& request_id = "request",
              AdmittedJob admitted = {});
  void Cancel(const std::string& job_id);
  absl::Status Resume(const ResumeRequest& request);
  void SetQuotas(const Quotas& quotas);
  absl::Status Cordon(const std::string& node_id, CordonRequest::Action action);
  // The disk refuses; the shell goes on trying.
  void StoreTrouble(const std::string& what);
  absl::Status Report(NodeReport report);  // with its own sequence

  // -- the nodes and the disk --------------------------------------------------------------------
  // Does one thing that is waiting: a write, else an answer, else a report of the running job.
  // False: nothing to do.
  bool StepOnce();
  void Settle();
  // Writes and answers only: the nodes report nothing.
  void SettleCalls();
  void Answer(const NodeCall& call, const absl::Status& status = absl::OkStatus());
  void Persist(const absl::Status& status = absl::OkStatus());

  // All that the nodes of the job's epoch report up to its current step; `edit` changes it.
  std::vector<NodeReport> NextReports(const std::string& job_id);
  // An empty one of the job's epoch, after all others of the node.
  NodeReport MakeReport(const std::string& job_id, const std::string& node_id);
  // The Prepare requests of the job's last epoch.
  std::vector<PrepareRequest> Prepared(const std::string& job_id) const;

  NodeStatus Node(const std::string& id) const;
  const JobStatus& Job(const std::string& id = "job-1-t") const { return statuses.at(id); }

  // What a call answers instead of OK: by (kind, node), e.g. "Prepare m1".
  std::map<std::string, absl::Status> failures;
  uint32_t numerics = Numerics();  // of nodes that are added
  // What a node says that it holds, when it registers and at every heartbeat.
  std::map<std::string, EpochRef> holds;
  // Nodes that say that they are leaving, then and there, and those of them that may go, as of
  // their last heartbeat.
  std::set<std::string> leaving, may_go;
  // Changes what a node is about to report.
  std::function<void(NodeReport&)> edit;

  std::deque<NodeCall> calls;   // not yet answered
  std::deque<uint64_t> writes;  // tokens, not yet durable
  std::optional<double> NextTimer() const { return core_->NextTimer(); }
  std::map<std::string, JobStatus> statuses;
  std::string user = "";                                       // who submits
  std::map<std::string, absl::StatusOr<std::string>> answers;  // of Submit, by request_id
  std::vector<std::string> history;  // "Prepare m0", "commit 0", in the order of asking
  std::vector<std::string> events;   // "job-1-t: running"
  std::map<std::string, std::vector<double>> losses;
  std::vector<JobRecord> records;
  bool must_persist = false;  // ControllerTurn::must_persist, of the last turn that had records
  std::vector<CommitRecord> commits;  // of all jobs; those that a rewind forgets stay
  double now_s;

 private:
  void Do(const std::function<void(ControllerTurn&)>& event);
  void Keep(const StoreRecord& record);

  std::unique_ptr<ControllerCore> core_;
  // A job's last epoch, as its nodes see it.
  struct Epoch {
    uint32_t epoch = 0;
    std::vector<NodeCall> prepares;
    uint64_t reported = 0;  // reports that the nodes have made
  };

  std::map<std::string, uint64_t> incarnations_;  // by node_id
  std::map<std::string, Epoch> epochs_;           // by job_id
  uint64_t extra_sequence_ = 1000;                // of reports that a test makes
};

// Whether all nodes of AddNodes() are.
bool AllIdle(const FakeCluster& cluster);

// Positions in the history of what starts with `what`.
std::vector<size_t> Where(const FakeCluster& cluster, const std::string& what);

EpochRef EpochOf(const std::string& job_id, uint32_t epoch);

// Of the first job, as it is.
ResumeRequest ResumeOf(const std::string& request_id);

}  // namespace waferstream
