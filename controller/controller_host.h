// The controller's production shell: gives the core its events and does what it asks for.
//
// Three loops, one thread each: `main` runs the core and the board and never blocks; `disk` writes
// and reads the job store, so that a slow disk delays commits but not leases; `admission` compiles
// submitted jobs. Calls to nodes are asynchronous.
//
// Lifecycle: Open -> events -> Stop. Danger: a callback runs on the main loop and must not block
// it.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/credentials.h"
#include "controller/controller_core.h"
#include "controller/event_loop.h"
#include "controller/job_store.h"
#include "controller/node_client.h"
#include "controller/status_board.h"

namespace waferstream {

class ControllerHost {
 public:
  struct Options {
    std::string state_dir;
    int lease_ms = 1000;
    Credentials credentials = {};                      // for its calls to nodes
    std::function<void(const std::string& line)> log;  // from any thread
  };
  using StatusCallback = std::function<void(absl::StatusOr<JobStatus>)>;

  // Locks the state directory (creating it if need be) and takes up what its store holds.
  // FAILED_PRECONDITION: another controller uses it. Else: what is wrong with it, one line.
  static absl::StatusOr<std::unique_ptr<ControllerHost>> Open(Options options);
  ~ControllerHost();

  const Options& options() const { return options_; }

  // All below: from any thread; callbacks run on the main loop.

  // Gives the core one event, then does what it asks for.
  void Event(absl::AnyInvocable<void(ControllerCore&, ControllerTurn&)> event);
  // Runs `work` on the main loop, where the board may be used.
  void Post(EventLoop::Work work) { main_.Post(std::move(work)); }
  StatusBoard& board() { return board_; }

  void Submit(SubmitRequest request, StatusCallback done);
  void Cancel(std::string job_id, StatusCallback done);
  void Resume(ResumeRequest request, StatusCallback done);
  void Cordon(CordonRequest request, std::function<void(absl::StatusOr<NodeStatus>)> done);
  // With losses.
  void Get(std::string job_id, StatusCallback done);
  void Events(std::string job_id, std::function<void(absl::StatusOr<EventList>)> done);
  void ReadNodeLog(NodeLogRequest request, NodeClient::LogDone done);

  // Cancels the calls to nodes; whoever asks is still answered. Jobs stay as they are on record.
  // Before the server's end, which waits for every answer.
  void BeginStop();
  // Ends the loops; records already asked for are written. After the server's end.
  void Stop();

 private:
  ControllerHost(Options options, int lock, std::unique_ptr<JobStore> store);

  absl::Status Restore();
  void Admitted(const std::string& request_id, absl::StatusOr<AdmittedJob> job);
  void AnswerSubmit(const std::string& request_id, const absl::StatusOr<std::string>& job_id);
  absl::StatusOr<JobStatus> StatusOf(const std::string& job_id) const;
  void Perform(ControllerTurn turn);
  void Persist(ControllerTurn& turn);
  // One turn's records, to be written together.
  struct Transaction {
    std::vector<StoreRecord> records;
    std::vector<uint64_t> tokens;
    bool must = false;     // try again until it is written
    double give_up_s = 0;  // but no longer; 0: it was not refused yet
  };
  // On the disk loop: writes what waits, in order, as far as the disk takes it.
  void WriteBacklog();
  bool KeepTrying(Transaction& transaction, const absl::Status& failure);

  const Options options_;
  const int lock_;  // file descriptor; the lock lasts as long as it is open
  const std::unique_ptr<JobStore> store_;
  std::unique_ptr<ControllerCore> core_;                // main loop
  StatusBoard board_;                                   // main loop
  std::multimap<std::string, StatusCallback> submits_;  // by request_id; main loop
  bool stopping_ = false;                               // main loop
  std::deque<Transaction> backlog_;                     // disk loop
  EventLoop main_;
  EventLoop disk_;
  EventLoop admission_;
  NodeClient nodes_;  // last: its calls post to the loops
};

}  // namespace waferstream
