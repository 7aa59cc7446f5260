// One job in one epoch of its membership: from Prepare to the epoch's end.
//
//   Prepare on all nodes -> Connect on all -> Start on all -> steps or tokens -> end()
//
// Anything that goes wrong ends the epoch; whether the job does it again, pauses or has failed is
// for job_life to decide. A broken channel does not say which of its ends is gone, and breaks the
// channels around it: the run waits until a lease shows who is lost, until every accused node has
// shown that it lives by reporting too, or for one lease. Once end() is set, nothing changes any
// more.
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
#include "controller/epoch_end.h"
#include "controller/epoch_terms.h"
#include "controller/generation_progress.h"
#include "controller/membership.h"
#include "controller/run_statistics.h"
#include "controller/run_turn.h"
#include "controller/training_progress.h"
#include "plan/plan.h"

namespace waferstream {

class JobRun {
 public:
  struct Setup {
    Plan plan;
    EpochTerms terms;
    Roster roster;
    Membership members;  // of the same processes as the roster
    double lease_s = 1;
  };

  // `status`, with its epoch set, and `statistics` outlive the run, which keeps them up to date.
  JobRun(Setup setup, JobStatus& status, RunStatistics& statistics);
  JobRun(const JobRun&) = delete;
  JobRun& operator=(const JobRun&) = delete;

  void Begin(RunTurn& turn);
  void OnCallDone(int process, const NodeRequest& request, const absl::Status& status,
                  const NodeReply& reply, RunTurn& turn);
  void OnReport(int process, const NodeReport& report, RunTurn& turn);
  // The commit that a turn asked for is durable, or could not be written.
  void OnCommitDurable(const absl::Status& stored, RunTurn& turn);
  // So is the record that a turn wanted confirmed.
  void OnRecordDurable(const absl::Status& stored, RunTurn& turn);
  // `how`: e.g. "was not heard of for 3 s".
  void OnNodeLost(int process, absl::string_view how, RunTurn& turn);
  // Time has passed.
  void OnTimer(RunTurn& turn);
  // Ends the epoch for a better membership, unless it has ended.
  void Leave(const std::string& why, RunTurn& turn);

  const std::optional<EpochEnd>& end() const { return end_; }
  const Plan& plan() const { return setup_.plan; }
  const EpochTerms& terms() const { return setup_.terms; }
  const Membership& members() const { return setup_.members; }
  const std::vector<PlacedProcess>& placed() const { return setup_.members.placed; }
  // Position in placed() of the process that runs on this node.
  std::optional<int> ProcessOn(const std::string& node_id) const;
  // Every node is prepared: owners hold their shards.
  bool prepared() const { return phase_ > Phase::kPrepare; }
  // Null for a generation.
  const TrainingProgress* training() const { return training_ ? &*training_ : nullptr; }
  // When OnTimer is due; nullopt: it is not.
  std::optional<double> deadline_s() const { return deadline_s_; }

 private:
  enum class Phase { kPrepare, kConnect, kStart, kStream };

  void EnterPhase(Phase phase, RunTurn& turn);
  void OnPhaseCallDone(int process, const NodeRequest& request, const absl::Status& status,
                       RunTurn& turn);
  void OnSealDone(const SealRequest& request, const absl::Status& status, const NodeReply& reply,
                  RunTurn& turn);
  void OnFault(int process, const NodeFault& fault, RunTurn& turn);
  bool EveryAccusedReported() const;
  // Of the two ends of a broken channel, the one that is easier to do without.
  std::string Weaker(const std::string& a, const std::string& b) const;
  NodeRequest PhaseRequest(int process) const;
  PrepareRequest Prepare(int process) const;
  EpochRef Epoch() const;
  // Follows up an event of `node` that steps or tokens may have come from.
  void Settle(const absl::Status& status, const std::string& node, RunTurn& turn);
  void EndBroken(RunTurn& turn);
  void End(EpochEnd end, RunTurn& turn);
  std::string AtStep() const;  // "step 12: " once streaming, before that nothing

  const Setup setup_;
  const uint64_t plan_hash_;
  JobStatus& status_;
  Phase phase_ = Phase::kPrepare;
  int unanswered_ = 0;                  // calls of this phase
  std::vector<int64_t> last_sequence_;  // of reports, by process; -1 before the first
  std::string first_fault_;             // of a channel; empty: all is well
  std::string weaker_end_;              // of that channel
  std::set<std::string> accused_;       // node ids: far ends of broken channels
  std::set<std::string> accusers_;      // node ids that reported one
  std::optional<double> deadline_s_;    // for a lease to name who is lost
  std::optional<EpochEnd> end_;
  std::optional<TrainingProgress> training_;
  std::optional<GenerationProgress> generation_;
};

}  // namespace waferstream
