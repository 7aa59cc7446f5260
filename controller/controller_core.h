// The controller without its I/O: nodes, queue and runs as one state machine.
//
// Every event comes with a turn that says when it happens and takes what the core wants done. The
// shell (controller_host) does that, in order, and brings the outcomes back as further events. The
// core owns no thread, clock, socket or file.
//
// Invariants:
//   1. A job is in exactly one place: being recorded, in the queue, live (job_life), or final.
//   2. A commit reaches a MemoryX node only after its record is durable, and an epoch any node only
//      after its number is.
//   3. A node is used by at most one job, and is given to the next one only after every call to it
//      has returned and its Release was answered (node_table.h).
//   4. What carries another (job, epoch) than one that runs changes nothing.
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
#include "controller/admitted_job.h"
#include "controller/controller_turn.h"
#include "controller/job_id.h"
#include "controller/job_life.h"
#include "controller/node_table.h"
#include "controller/scheduler.h"

namespace waferstream {

// What is found in the store when the controller starts.
struct RestoredJob {
  JobRecord record;
  absl::StatusOr<AdmittedJob> job;    // of status.job(); looked at only when it is still QUEUED
  std::vector<CommitRecord> commits;  // since its last checkpoint, and the one before
};
struct RestoredState {
  std::vector<RestoredJob> jobs;  // oldest first
  std::vector<CordonRecord> cordons;
};

class ControllerCore {
 public:
  struct Options {
    double lease_s = 1;
    // How long a job waits for nodes that hold its weights, before it goes back to a checkpoint.
    double patience_s = 3;
    Quotas quotas = {};
  };

  // Queued jobs are queued again; live ones go on at their last commit when their nodes are back.
  ControllerCore(Options options, RestoredState restored, ControllerTurn& turn);

  // -- nodes -------------------------------------------------------------------------------------
  absl::Status OnRegister(const RegisterRequest& request, ControllerTurn& turn);
  absl::StatusOr<HeartbeatReply> OnHeartbeat(const HeartbeatRequest& request, ControllerTurn& turn);
  absl::Status OnReport(const NodeReport& report, ControllerTurn& turn);
  void OnCallDone(const NodeCallResult& result, ControllerTurn& turn);
  NodeList ListNodes(double now_s) const { return nodes_.List(now_s); }
  // NOT_FOUND: it has never registered here, and the request does not uncordon it.
  absl::StatusOr<NodeStatus> OnCordon(const CordonRequest& request, ControllerTurn& turn);
  // host:port of its Node service. NOT_FOUND.
  absl::StatusOr<std::string> AddressOf(const std::string& node_id);

  // -- jobs --------------------------------------------------------------------------------------
  // The id of the job that was submitted with this request_id before, if any. ALREADY_EXISTS: it
  // was another job than `job`.
  absl::StatusOr<std::optional<std::string>> FindRequest(const std::string& request_id,
                                                         const JobSpec& job) const;
  // Of the next job, one of `user`. `tag`: random, from the shell; never given before.
  JobIdentity NewIdentity(absl::string_view tag, const std::string& user);
  // Answered through turn.submit_answers, at once or when the job is durable.
  void OnSubmit(const std::string& request_id, const JobIdentity& identity, AdmittedJob job,
                ControllerTurn& turn);
  // Jobs that are final (or unknown) stay as they are.
  void OnCancel(const std::string& job_id, ControllerTurn& turn);
  // See JobLife::Resume. NOT_FOUND: no live job of this id.
  absl::Status OnResume(const ResumeRequest& request, ControllerTurn& turn);
  // From now on. Nothing is taken from a job that runs.
  void OnQuotas(Quotas quotas, ControllerTurn& turn);

  // -- the shell ---------------------------------------------------------------------------------
  void OnPersisted(uint64_t token, const absl::Status& stored, ControllerTurn& turn);
  // The disk refuses what must be persisted; it is tried again.
  void OnStoreTrouble(const std::string& what, ControllerTurn& turn);
  // And has taken it now.
  void OnStoreWell(ControllerTurn& turn);
  void OnTimer(ControllerTurn& turn);
  // When OnTimer is due, in steady seconds; changes with every event.
  std::optional<double> NextTimer() const;

 private:
  // What a token of persistence is waited for by: an epoch to begin, a commit, or a run that wants
  // to know (RunTurn.confirm).
  struct Wait {
    enum class What { kEpoch, kCommit, kRecord };
    std::string job_id;
    uint32_t epoch = 0;
    What what = What::kEpoch;
  };

  // What a request_id stands for.
  struct Submission {
    std::string job_id;
    std::optional<JobSpec> job;  // as it was submitted; older versions did not keep it
  };

  // Time moves on to this event. If that passes the moment for which a job waits, its turn comes
  // now: from here on NextTimer asks for no timer on its account.
  void Advance(ControllerTurn& turn);
  void Restore(RestoredJob restored, ControllerTurn& turn);
  static NodeMemory Remembered(const RestoredState& restored);
  QueuedJob MakeJob(const std::string& request_id, const JobIdentity& identity, AdmittedJob job,
                    const Now& now);
  static Submission SubmissionOf(const JobRecord& record);
  absl::Status CheckQueue(const JobIdentity& identity, const AdmittedJob& job) const;
  void OnSubmitPersisted(QueuedJob job, const absl::Status& stored, ControllerTurn& turn);

  // Starts epochs of live jobs, then queued jobs as long as the head of the queue finds its nodes,
  // and says why the rest waits.
  void Schedule(ControllerTurn& turn);
  // Releases what should leave a job that does not run, whose next step may be far away.
  void LetLeave(JobLife& job, ControllerTurn& turn);
  void TakeFromYounger(const JobLife& job, ControllerTurn& turn);
  void TryEpoch(const std::string& job_id, ControllerTurn& turn);
  // No membership will do, unless somebody decides otherwise (ChooseMembers).
  void Refuse(JobLife& job, const absl::Status& why, ControllerTurn& turn);
  void StartEpoch(JobLife& job, const Membership& members, ControllerTurn& turn);
  // Gives the job the nodes of its new epoch; those that it had beside them are released.
  void Reassign(const JobLife& job, const Membership& members, ControllerTurn& turn);
  WafersByUser UsedWafers() const;
  // Of a job that has had an epoch.
  MemberNeeds NeedsOf(const JobLife& job) const;
  void ImproveMembership(JobLife& job, ControllerTurn& turn);
  JobLife* FindJob(const std::string& job_id);
  // The job whose present epoch this is.
  JobLife* FindEpoch(const std::string& job_id, uint32_t epoch);

  // Gives a job one event and does what it asks for; lets go of it and of its nodes when it is
  // final, so `job` may be gone afterwards.
  void Deliver(JobLife& job, ControllerTurn& turn, absl::FunctionRef<void(RunTurn&)> event);
  void Apply(JobLife& job, RunTurn run_turn, ControllerTurn& turn);
  void AddWait(const Wait& wait, ControllerTurn& turn);
  void Retire(const JobLife& job, ControllerTurn& turn);
  // A paused job needs none but those that keep its weights.
  void ReleaseIdleRoles(const JobLife& job, ControllerTurn& turn);
  void LeaveNodes(const JobLife& job, ControllerTurn& turn,
                  absl::FunctionRef<bool(const KnownNode&)> which);

  void LoseNode(const std::string& node_id, const std::string& how, ControllerTurn& turn);
  void SetCordon(const CordonRecord& record, ControllerTurn& turn);
  void Call(KnownNode& node, const std::string& job_id, uint32_t epoch, NodeRequest request,
            ControllerTurn& turn);
  // Sends the Release that is due once nothing else is in flight to the node.
  void ReleaseIfQuiet(KnownNode& node, ControllerTurn& turn);

  const Options options_;
  NodeTable nodes_;
  Scheduler queue_;
  // Live ones, by job_id.
  std::map<std::string, std::unique_ptr<JobLife>, OlderJobFirst> jobs_;
  std::map<std::string, Submission> submissions_;  // by request_id, of durable jobs
  std::map<uint64_t, QueuedJob> submits_;          // by persist token: being recorded
  std::map<uint64_t, Wait> waits_;                 // by persist token
  std::string store_trouble_;                      // empty: none
  uint64_t next_number_ = 1;
  uint64_t next_token_ = 1;
  double now_s_ = 0;  // of the last event
};

}  // namespace waferstream
