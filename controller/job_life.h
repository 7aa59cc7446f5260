// One job from its first epoch to its final state: what is kept between epochs, and what follows
// from how one ended.
//
//   waiting for nodes -> epoch runs -> (lost, damaged, better members: next epoch)* -> final
//                                   -> paused -> Resume -> next epoch ...
//
// The next epoch begins at the last commit if every shard still has a holder; otherwise at the last
// checkpoint, or where the job began, and does the same steps again to the same bits. A step that
// is done again is compared with its first commit.
//
// Bounds: after kAttemptsMax epochs in a row without a commit the job has failed, with the last
// reason. Pauses between them grow, so that a fault that heals by itself is outlived. A node that
// ended kStrikesMax epochs without progress is left out from then on, where the job can do without.
//
// Pure: no clock, thread or I/O. Not thread-safe. Neither copied nor moved.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "controller/job_clock.h"
#include "controller/job_record.h"
#include "controller/job_run.h"
#include "controller/membership.h"
#include "controller/run_statistics.h"
#include "controller/shard_map.h"

namespace waferstream {

class JobLife {
 public:
  static constexpr int kAttemptsMax = 20;
  static constexpr int kStrikesMax = 3;

  // `record`: as of the queue, or as recorded. `commits`: those since its last checkpoint, and
  // those before that tell its speed; in order of step. `patience_s`: how long the job waits for
  // lost holders of its shards before it goes back to a checkpoint, and, as recorded, for its last
  // members to register.
  JobLife(JobRecord record, std::vector<CommitRecord> commits, double patience_s, const Now& now);
  // The first step whose commit, if there is one, is among those.
  static uint64_t FirstCommitOf(const JobStatus& status);
  JobLife(const JobLife&) = delete;
  JobLife& operator=(const JobLife&) = delete;

  const JobStatus& status() const { return record_.status; }
  JobRecord Record() const;
  bool final() const;
  bool paused() const { return record_.status.state() == PAUSED; }
  // The epoch that runs, or has just ended; null: none.
  JobRun* run() { return run_.get(); }

  // -- between epochs ----------------------------------------------------------------------------
  // Whether an epoch should begin now, if its nodes are there.
  bool WantsEpoch(const NodeTable& nodes, double now_s) const;
  // When that, or `run`'s deadline, may change by itself.
  std::optional<double> NextTimer(double now_s) const;
  MemberNeeds Needs(double now_s) const;
  // The nodes are not there: why.
  void Wait(const std::string& reason, RunTurn& turn);
  // FAILED_PRECONDITION: this controller computes other numbers than the job has so far.
  absl::Status CheckNumerics() const;
  // What is there computes otherwise than the job so far: a job that has begun pauses, another one
  // has failed.
  void Refuse(const std::string& reason, RunTurn& turn);
  // Makes the next epoch; it begins with BeginEpoch when its record is durable. Without a run
  // afterwards the job is final: nothing was left to do, or it cannot run like this.
  void MakeEpoch(const Membership& members, const NodeTable& nodes, double lease_s, RunTurn& turn);
  void BeginEpoch(const absl::Status& stored, RunTurn& turn);

  // -- during an epoch ---------------------------------------------------------------------------
  // Gives the run, if there is one, an event, and draws the conclusions.
  void Deliver(RunTurn& turn, absl::FunctionRef<void(JobRun&)> event);
  void OnReport(int process, const NodeReport& report, uint64_t incarnation, RunTurn& turn);
  // The commit that a turn asked for is durable, or could not be written. It counts even if the
  // epoch has ended meanwhile: no other one begins before.
  void OnCommitDurable(const absl::Status& stored, RunTurn& turn);
  // Whether this is a moment to change the members: between two steps of a run that trains.
  bool MayChangeMembers() const;

  // The node works for another job now; a restarted controller must not think it this one's. Only
  // without a run.
  void GiveUpNode(const std::string& node_id, RunTurn& turn);
  // The node's process is another one now: it holds nothing any more.
  void OnNodeReplaced(const std::string& node_id) {
    holdings_.DropNode(node_id);
    fills_.DropNode(node_id);
  }

  // The job's records cannot be written, or can again: what was the trouble.
  void OnStoreTrouble(const std::string& what, RunTurn& turn);
  void OnStoreWell(const std::string& what, RunTurn& turn);

  // -- what people ask for -----------------------------------------------------------------------
  void Cancel(RunTurn& turn);
  // FAILED_PRECONDITION: it is not paused. Again with the same request_id: OK, nothing.
  // ALREADY_EXISTS: that request_id resumed it with another change.
  absl::Status Resume(const ResumeRequest& request, RunTurn& turn);

 private:
  bool trains() const;
  bool complete() const;
  bool AllMembersHere(const NodeTable& nodes) const;
  // The first step that may still be amended: a commit on its way to the disk will be history.
  uint64_t FirstOpenStep() const;
  EpochTerms NextTerms(const Membership& members) const;
  // A step of the last epoch is committed: whoever took no part in it has not the gradients that it
  // was committed with. If it has any of that step, they are of an epoch whose members disagreed,
  // or that took another batch.
  void ForgetAbsentHolders();
  void RememberMembers(const Membership& members, const NodeTable& nodes);
  // Fills that the epoch of these members goes on with; forgets all others.
  std::map<std::pair<int, int>, uint64_t> GoOnFilling(const Membership& members);
  void OnFill(int process, const NodeReport& report, uint64_t incarnation, RunTurn& turn);
  void Rewind(uint64_t step, RunTurn& turn);
  void PlanSram(uint64_t bytes);
  void ResetGeneration();
  void GoOnWithTheseNumerics();

  // Takes over what the run has done, then what its end means.
  void Follow(RunTurn& turn);
  void NoteCommit(RunTurn& turn);
  void NoteValidations(RunTurn& turn);
  // Whether training ends here: training.early_stop. It is amended then.
  bool StopIfInVain(RunTurn& turn);
  void OnEpochEnd(const EpochEnd& end, RunTurn& turn);
  void Redo(const EpochEnd& end, RunTurn& turn);
  void OnCounted(const EpochEnd& end, RunTurn& turn);
  void SettleDispute(const Dispute& again, RunTurn& turn);
  void Retry(const std::string& reason, RunTurn& turn);
  void Pause(const std::string& reason, RunTurn& turn);
  void End(JobState state, const std::string& reason, RunTurn& turn);

  JobRecord record_;
  ShardMap holdings_;
  FillMap fills_;
  std::map<uint64_t, CommitRecord> commits_;  // since the last checkpoint, those undone included
  const double patience_s_;
  RunStatistics statistics_;
  JobClock clock_;
  std::unique_ptr<JobRun> run_;
  std::optional<CommitRecord> pending_;  // being made durable
  uint64_t noted_steps_ = 0;             // commits of the run that have been taken over
  int attempts_ = 0;                     // epochs in a row without a commit
  int unsaved_ = 0;                      // failed attempts at the last checkpoint
  std::map<std::string, int> strikes_;   // by node_id

  double ended_s_ = 0;     // when the last epoch ended
  bool recorded_ = false;  // no epoch of this controller yet, but one of an earlier
  double not_before_s_ = 0;
  std::optional<BadNumbers> bad_;   // to be diagnosed by the next epoch
  std::optional<Dispute> dispute_;  // to be settled by the next epoch
};

}  // namespace waferstream
