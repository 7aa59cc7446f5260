// The controller's shell: gives the core its events and does what it asks for; the same in every
// world.
//
// What reads and writes runs beside the loop: the job store on one lane, so that a slow disk delays
// commits but not leases; admission, which compiles submitted jobs, on another.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/loop.h"
#include "checkpoint/disk.h"
#include "checkpoint/ownership.h"
#include "controller/asker.h"
#include "controller/controller_core.h"
#include "controller/job_store.h"
#include "controller/node_call.h"
#include "controller/status_board.h"
#include "node/control.h"
#include "node/lanes.h"

namespace waferstream {

// What a controller stands on.
struct ControllerWorld {
  Loop& loop;
  Lanes& lanes;
  NodeCalls& nodes;
  JobStore& store;
  // JobStore's of these names: how records get into the store, each transaction all or nothing.
  std::function<absl::Status(const std::vector<StoreRecord>&)> write;
  std::function<absl::Status(const std::vector<StoreRecord>&)> write_ahead;
  std::function<absl::Status()> sync;
  Disk& files;                            // checkpoints and data
  std::function<double()> unix_s;         // for people
  std::function<uint64_t()> random_bits;  // for names
  std::function<void(const std::string& line)> log;
};

class ControllerHost final : public ControllerCalls {
 public:
  struct Options {
    std::string state_dir;
    int lease_ms = 1000;
    Quotas quotas = {};
    std::vector<std::string> roots = {};  // folders that files of jobs are in; none: anywhere
    int heartbeat_ms = 200;  // that nodes are told; those that miss two are still within the lease
    // A full disk may take somebody to notice; then jobs pause.
    absl::Duration store_patience = absl::Minutes(10);
    absl::Duration store_retry_pause = absl::Milliseconds(200);
  };
  using StatusCallback = std::function<void(absl::StatusOr<JobStatus>)>;

  // What `world` refers to outlives the host.
  ControllerHost(ControllerWorld world, Options options);

  // Takes up what the store holds. On the loop, before everything else, once. An error: what is
  // wrong with the store, one line.
  absl::Status Restore();

  const Options& options() const { return options_; }

  // All below: from anywhere; callbacks run on the loop and must not block it. Jobs are named by
  // their ids or beginnings of them (StatusBoard::Resolve). What changes something is answered once
  // it is on record; an error of the store means that it may be undone by a restart.

  // Gives the core one event, then does what it asks for.
  void Event(absl::AnyInvocable<void(ControllerCore&, ControllerTurn&)> event);
  // Runs `work` on the loop, where the board may be used.
  void Post(Loop::Work work) { world_.loop.Post(std::move(work)); }
  StatusBoard& board() { return board_; }

  // ControllerCalls: what nodes say.
  void Register(const RegisterRequest& request,
                std::function<void(absl::StatusOr<RegisterReply>)> done) override;
  void Heartbeat(const HeartbeatRequest& request,
                 std::function<void(absl::StatusOr<HeartbeatReply>)> done) override;
  void Report(const NodeReport& report, std::function<void(absl::Status)> done) override;

  // PERMISSION_DENIED: the job is not one that `asker` may change.
  void Submit(const Asker& asker, SubmitRequest request, StatusCallback done);
  void Cancel(const Asker& asker, std::string name, StatusCallback done);
  void Resume(const Asker& asker, ResumeRequest request, StatusCallback done);
  void Cordon(CordonRequest request, std::function<void(absl::StatusOr<NodeStatus>)> done);
  // With losses.
  void Get(std::string job_id, StatusCallback done);
  void Events(std::string job_id, std::function<void(absl::StatusOr<EventList>)> done);
  void AddressOf(std::string node_id, std::function<void(absl::StatusOr<std::string>)> done);

  void SetQuotas(Quotas quotas);

  // On the loop: as of now.
  NodeList Nodes() const;
  // On the loop: commits made durable since this process began.
  uint64_t commits() const { return commits_; }

  // Cancels the calls to nodes, and asks for nothing more; whoever asks is still answered. Jobs
  // stay as they are on record. `written`: the records already asked for are.
  void Stop(std::function<void()> written);

 private:
  using Written = std::function<void(const absl::Status&)>;

  // A submitted job on its way to its record, and who waits for it.
  struct PendingSubmit {
    JobIdentity identity;
    JobSpec job;
    std::vector<StatusCallback> waiting;
  };
  // One turn's records, to be written together.
  struct Transaction {
    std::vector<StoreRecord> records;
    std::vector<uint64_t> tokens;
    bool must = false;          // try again until it is written
    std::vector<Written> then;  // who asks
    double give_up_s = 0;       // but no longer, if it may be given up; 0: it was not refused yet
    bool told = false;          // of steps alone: nodes know of it, and it may not be durable yet

    bool refused() const { return give_up_s > 0; }
  };

  ControllerTurn NewTurn() const;
  absl::StatusOr<RestoredState> Load();
  static void JoinSubmit(PendingSubmit& first, const SubmitRequest& request, StatusCallback done);
  void BeginAdmission(const JobIdentity& identity, const SubmitRequest& request);
  void Admitted(const std::string& request_id, const JobIdentity& identity,
                absl::StatusOr<AdmittedJob> job, std::unique_ptr<FolderClaim> claim);
  void ReleaseClaim(const std::string& job_id);
  void AnswerSubmit(const std::string& request_id, const absl::StatusOr<std::string>& job_id);
  absl::StatusOr<JobStatus> StatusOf(const std::string& name) const;
  // The id of the job that `name` means, if `asker` may change it.
  absl::StatusOr<std::string> ResolveFor(const Asker& asker, const std::string& name) const;

  // `written`, if there is one: once the turn's records are, and all before them.
  void Perform(ControllerTurn turn, Written written = nullptr);
  void SetTimer();
  void Persist(ControllerTurn& turn);
  void BeginWrite();
  void EndWrite(const absl::Status& stored);
  void Retry();
  void EndTransaction(const absl::Status& stored);
  void Tell(std::vector<uint64_t> tokens, const absl::Status& stored);
  void Announce();
  static bool MayGiveUp(const Transaction& transaction);
  bool KeepTrying(Transaction& transaction, const absl::Status& failure);

  const ControllerWorld world_;
  const Options options_;
  std::unique_ptr<ControllerCore> core_;
  StatusBoard board_;
  std::map<std::string, PendingSubmit> submits_;  // by request_id
  // By job_id, of jobs that are not final: the folders that they write to.
  std::map<std::string, std::unique_ptr<FolderClaim>> claims_;
  bool stopping_ = false;
  std::function<void()> all_written_;  // once stopping
  uint64_t timers_ = 0;                // only the last one counts
  uint64_t commits_ = 0;
  std::deque<Transaction> backlog_;  // the first one is being written
  // While the first one is told, but not durable.
  std::vector<JobStatus> unannounced_;
  std::vector<ControllerTurn::SubmitAnswer> unanswered_;
  bool store_refuses_ = false;  // or did, and has taken nothing since
  TaskLane disk_;
  TaskLane admission_;
};

}  // namespace waferstream
