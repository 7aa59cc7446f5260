// The controller without its I/O: nodes, queue and runs as one state machine.
//
// Every event comes with a turn that says when it happens and takes what the core wants done. The
// shell (controller_host) does that, in order, and brings the outcomes back as further events. The
// core owns no thread, clock, socket or file.
//
// Invariants:
//   1. A job is in exactly one place: being recorded, in the queue, in a run, or final.
//   2. A commit reaches a MemoryX node only after its record is durable.
//   3. A node is used by at most one run, and is given to the next one only after every call to it
//      has returned and its Release was answered (node_table.h).
//   4. What carries another (job, epoch) than a run that goes on changes nothing.
//
// Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/controller_turn.h"
#include "controller/job_queue.h"
#include "controller/job_run.h"
#include "controller/node_table.h"

namespace waferstream {

// A job as it is found in the store when the controller starts; `job` comes of its status.job().
struct RestoredJob {
  JobRecord record;
  absl::StatusOr<AdmittedJob> job;  // looked at only when the job is still QUEUED
};

class ControllerCore {
 public:
  struct Options {
    std::string state_dir;  // checkpoints of jobs that name no directory go below it
    double lease_s = 3;
  };

  // `restored`: all jobs on record, oldest first. Jobs that were running have FAILED, because what
  // their nodes did meanwhile is not known; queued ones are queued again.
  ControllerCore(Options options, std::vector<RestoredJob> restored, ControllerTurn& turn);

  // -- nodes -------------------------------------------------------------------------------------
  absl::Status OnRegister(const RegisterRequest& request, ControllerTurn& turn);
  absl::Status OnHeartbeat(const HeartbeatRequest& request, ControllerTurn& turn);
  absl::Status OnReport(const NodeReport& report, ControllerTurn& turn);
  void OnCallDone(const NodeCallResult& result, ControllerTurn& turn);
  NodeList ListNodes(double now_s) const { return nodes_.List(now_s); }
  // host:port of its Node service. NOT_FOUND.
  absl::StatusOr<std::string> AddressOf(const std::string& node_id);

  // -- jobs --------------------------------------------------------------------------------------
  // The job that was submitted with this request_id before, if any.
  std::optional<std::string> FindRequest(const std::string& request_id) const;
  // Answered through turn.submit_answers, at once or when the job is durable.
  void OnSubmit(const std::string& request_id, AdmittedJob job, ControllerTurn& turn);
  // Jobs that are final (or unknown) stay as they are.
  void OnCancel(const std::string& job_id, ControllerTurn& turn);

  // -- the shell ---------------------------------------------------------------------------------
  void OnPersisted(uint64_t token, const absl::Status& stored, ControllerTurn& turn);
  void OnTimer(ControllerTurn& turn);
  // When OnTimer is due, in steady seconds; changes with every event.
  std::optional<double> NextTimer() const { return nodes_.NextExpiry(); }

 private:
  struct LiveRun {
    JobRecord record;                    // its status is older than the run's
    std::vector<uint64_t> incarnations;  // of the nodes, by process
    std::unique_ptr<JobRun> run;
  };
  // A run that waits for the record of a commit.
  struct CommitWait {
    std::string job_id;
    uint32_t epoch;
  };

  void Restore(RestoredJob restored, ControllerTurn& turn);
  static std::vector<EpochRef> Interrupted(const std::vector<RestoredJob>& restored);
  QueuedJob MakeJob(const std::string& request_id, AdmittedJob job, const Now& now);
  void OnSubmitPersisted(QueuedJob job, const absl::Status& stored, ControllerTurn& turn);

  // Starts jobs as long as the head of the queue finds its nodes, then says why the rest waits.
  void Schedule(ControllerTurn& turn);
  void StartRun(QueuedJob job, std::vector<PlacedProcess> placed, ControllerTurn& turn);
  LiveRun* FindRun(const std::string& job_id, uint32_t epoch);
  // Gives the run one event and does what it asks for; lets go of it and of its nodes when it has
  // ended, so `live` may be gone afterwards.
  void Deliver(LiveRun& live, ControllerTurn& turn,
               absl::FunctionRef<void(JobRun&, RunTurn&)> event);
  void Apply(LiveRun& live, RunTurn run_turn, ControllerTurn& turn);
  void Retire(const LiveRun& live, ControllerTurn& turn);

  void LoseNode(const std::string& node_id, const std::string& how, ControllerTurn& turn);
  void Call(KnownNode& node, const std::string& job_id, uint32_t epoch, NodeRequest request,
            ControllerTurn& turn);
  // Sends the Release that is due once nothing else is in flight to the node.
  void ReleaseIfQuiet(KnownNode& node, ControllerTurn& turn);

  const Options options_;
  NodeTable nodes_;
  JobQueue queue_;
  std::map<std::string, LiveRun> runs_;        // by job_id
  std::map<std::string, std::string> job_of_;  // request_id -> job_id, of durable jobs
  std::map<uint64_t, QueuedJob> submits_;      // by persist token: being recorded
  std::map<uint64_t, CommitWait> commits_;     // by persist token
  uint64_t next_number_ = 1;
  uint64_t next_token_ = 1;
};

}  // namespace waferstream
