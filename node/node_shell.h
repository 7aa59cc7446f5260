// The production shell of a node: one process's role, its epochs and its fabric.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/credentials.h"
#include "base/line_limit.h"
#include "fabric/tcp_listener.h"
#include "node/epoch.h"
#include "node/executor.h"
#include "node/role.h"
#include "proto/node.pb.h"

namespace waferstream {

struct NodeShellOptions {
  std::string node_id;
  std::string listen = "127.0.0.1";    // address of this host, a literal
  uint16_t fabric_port = 0;            // 0: any free one
  uint16_t advertise_fabric_port = 0;  // where others reach it; 0: the port itself
  Credentials credentials = {};        // for the fabric, both ways
  // Every peer is prepared before any is told to connect, so a peer that cannot be reached for so
  // long is not slow: it, or the link, is gone.
  absl::Duration connect_timeout = absl::Seconds(5);
};

// Role: what proto/node.proto says of the Node service, over one Executor that runs core and
// fabric. Thread rule: the public calls come from any threads and block until they are answered.
// Prepare, Seal and Release run one at a time (control_); Connect, Start and Commit only visit the
// executor, so that a Release gets past a Connect that waits for a dead peer. Danger: none of them
// may be called from the executor.
class NodeShell final : public AcceptHandler {
 public:
  // `role` must outlive the shell. `report` is called on the executor and must not block; the shell
  // fills in everything but the node's id.
  NodeShell(NodeShellOptions options, NodeRole& role, Epoch::Report report);
  ~NodeShell() override;

  // Opens the fabric port. UNAVAILABLE, naming the port, when it cannot be had.
  absl::Status Listen();
  uint16_t fabric_port() const { return listener_->port(); }

  absl::StatusOr<PrepareReply> Prepare(const PrepareRequest& request);
  absl::Status Connect(const EpochRef& ref);
  absl::Status Start(const EpochRef& ref);
  absl::Status Commit(const CommitRequest& commit);
  absl::StatusOr<SealReply> Seal(const SealRequest& request);
  absl::Status Release(const EpochRef& ref);

  // Releases what is prepared, and prepares nothing more: calls that wait here get past.
  void Shutdown();

 private:
  // AcceptHandler, on the executor
  absl::StatusOr<ChannelTerms> Admit(const Hello& theirs) override;
  void OnChannel(const Hello& theirs, std::shared_ptr<ChannelEnd> channel) override;
  void OnRefused(const std::string& line) override;

  absl::Status CheckRequest(const PrepareRequest& request) const;
  absl::Status CheckNewer(const PrepareRequest& request) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(control_);
  absl::StatusOr<std::shared_ptr<Epoch>> Build(const PrepareRequest& request, PrepareReply* reply);
  // The prepared epoch if it is this one; FAILED_PRECONDITION otherwise. On the executor.
  absl::StatusOr<std::shared_ptr<Epoch>> Find(const EpochRef& ref) const;
  void StopCurrent() ABSL_EXCLUSIVE_LOCKS_REQUIRED(control_);

  const NodeShellOptions options_;
  NodeRole& role_;
  const Epoch::Report report_;

  absl::Mutex control_;
  std::string prepared_ ABSL_GUARDED_BY(control_);  // the request, serialised; empty: nothing is
  PrepareReply prepared_reply_ ABSL_GUARDED_BY(control_);
  bool shut_down_ ABSL_GUARDED_BY(control_) = false;
  EpochRef newest_ ABSL_GUARDED_BY(control_);  // prepared last, released or not

  std::shared_ptr<Epoch> current_;  // executor only
  std::unique_ptr<TcpListener> listener_;
  LineLimit refusals_;
  Executor executor_;  // last: its thread ends before anything else goes
};

}  // namespace waferstream
