// One running job in one epoch: from Prepare to its final state.
//
//   Prepare on all nodes -> Connect on all -> Start on all -> steps or tokens -> DONE
//
// Anything that goes wrong (a call, a NodeFault, a lost node, a number that is not finite) is
// FAILED with one line that names the node and the step. A broken channel does not say which of its
// ends is gone, and breaks the channels around it: the job waits until a lease shows who is lost,
// or until every accused node has shown that it lives by reporting too. Once ended() is true,
// nothing changes any more; releasing the nodes is the business of whoever placed the job.
//
// Pure: no clock, thread or I/O. Not thread-safe. Neither copied nor moved: its parts refer to one
// another.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "controller/generation_progress.h"
#include "controller/placement.h"
#include "controller/run_turn.h"
#include "controller/training_progress.h"
#include "plan/plan.h"

namespace waferstream {

// A job that can run: its plan, and the steps that its first checkpoint (if any) already has.
struct AdmittedJob {
  Plan plan;
  uint64_t start_step = 0;
};

class JobRun {
 public:
  // `status`: as of the queue, with epoch and kernel_isa set. `roster` and `placed` name the same
  // processes.
  JobRun(JobStatus status, AdmittedJob job, Roster roster, std::vector<PlacedProcess> placed);
  JobRun(const JobRun&) = delete;
  JobRun& operator=(const JobRun&) = delete;

  void Begin(RunTurn& turn);
  void OnCallDone(int process, const NodeRequest& request, const absl::Status& status,
                  const NodeReply& reply, RunTurn& turn);
  void OnReport(int process, const NodeReport& report, RunTurn& turn);
  // The commit that a turn asked for is durable, or could not be written.
  void OnCommitDurable(const absl::Status& stored, RunTurn& turn);
  // `how`: e.g. "was not heard of for 3 s".
  void OnNodeLost(int process, absl::string_view how, RunTurn& turn);
  void Cancel(RunTurn& turn);

  const JobStatus& status() const { return status_; }
  bool ended() const { return status_.state() >= DONE; }
  const std::vector<PlacedProcess>& placed() const { return placed_; }
  // Position in placed() of the process that runs on this node.
  std::optional<int> ProcessOn(const std::string& node_id) const;

 private:
  enum class Phase { kPrepare, kConnect, kStart, kStream };

  void EnterPhase(Phase phase, RunTurn& turn);
  void OnPhaseCallOk(RunTurn& turn);
  void OnSealDone(const SealRequest& request, const absl::Status& status, const NodeReply& reply,
                  RunTurn& turn);
  void OnFault(int process, const NodeFault& fault, RunTurn& turn);
  bool EveryAccusedReported() const;
  NodeRequest PhaseRequest(int process) const;
  PrepareRequest Prepare(int process) const;
  EpochRef Epoch() const;
  // Follows up an event that steps or tokens may have come from.
  void Settle(const absl::Status& status, RunTurn& turn);
  void Fail(absl::string_view reason, RunTurn& turn);
  void End(JobState state, absl::string_view reason, RunTurn& turn);
  void Publish(RunTurn& turn);
  std::string AtStep() const;  // "step 12: " once streaming, before that nothing

  const Plan plan_;
  const uint64_t plan_hash_;
  const uint64_t start_step_;
  const Roster roster_;
  const std::vector<PlacedProcess> placed_;
  JobStatus status_;
  Phase phase_ = Phase::kPrepare;
  int unanswered_ = 0;                  // calls of this phase
  std::vector<int64_t> last_sequence_;  // of reports, by process; -1 before the first
  std::string first_fault_;             // of a channel; empty: all is well
  std::set<std::string> accused_;       // node ids: far ends of broken channels
  std::set<std::string> accusers_;      // node ids that reported one
  std::optional<double> started_s_;     // when Start was first sent
  std::optional<TrainingProgress> training_;
  std::optional<GenerationProgress> generation_;
};

}  // namespace waferstream
