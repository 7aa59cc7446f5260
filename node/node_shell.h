// The shell of a node: one process's role, its epochs and its fabric; the same in every world.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/line_limit.h"
#include "node/control.h"
#include "node/epoch.h"
#include "node/node_counters.h"
#include "node/role.h"
#include "node/world.h"
#include "proto/node.pb.h"

namespace waferstream {

struct NodeShellOptions {
  std::string node_id;
  // Every peer is prepared before any is told to connect, so a peer that cannot be reached for so
  // long is not slow: it, or the link, is gone.
  absl::Duration connect_timeout = absl::Seconds(5);
};

// Role: what proto/node.proto says of the Node service. Prepare, Seal and Release run one at a
// time, what they read and write on a lane of their own; Connect, Start and Commit only visit, so
// that a Release gets past a Connect that waits for a dead peer. Lives on its loop. Danger: it may
// only go after Shutdown, or with its process.
class NodeShell final : public AcceptHandler {
 public:
  // `role` outlives the shell, and so does what `world` refers to. `report` must not block; the
  // shell fills in everything but the node's id.
  NodeShell(NodeWorld world, NodeShellOptions options, NodeRole& role, Epoch::Report report);
  ~NodeShell() override;

  // Opens the fabric port. UNAVAILABLE, naming the port, when it cannot be had.
  absl::Status Listen();
  uint16_t fabric_port() const { return listener_->port(); }

  // Carries out a call of the controller; `answer` is called once, then or later.
  void Serve(const NodeRequest& request, NodeAnswer answer);

  // HeartbeatRequest.holds; nullopt: nothing is held.
  const std::optional<EpochRef>& holds() const { return held_; }
  NodeFacts facts() const;
  // Nothing is prepared, and nothing is about to be.
  bool idle() const { return current_ == nullptr && controls_.empty(); }

  // Releases what is prepared, and prepares nothing more: calls that wait here get past. `done`:
  // the shell may go.
  void Shutdown(std::function<void()> done);

 private:
  using Next = std::function<void()>;

  // AcceptHandler
  absl::StatusOr<ChannelTerms> Admit(const Hello& theirs) override;
  void OnChannel(const Hello& theirs, std::shared_ptr<ChannelEnd> channel) override;
  void OnRefused(const std::string& line) override;

  void Serve(const PrepareRequest& request, NodeAnswer answer);
  void Serve(const ConnectCall& call, NodeAnswer answer);
  void Serve(const StartCall& call, const NodeAnswer& answer);
  void Serve(const CommitRequest& commit, const NodeAnswer& answer);
  void Serve(const SealRequest& request, NodeAnswer answer);
  void Serve(const ReleaseCall& call, NodeAnswer answer);

  // -- one at a time: `control` ends with a call of FinishControl, or of Finish
  void Enqueue(Next control);
  void RunControl();
  void FinishControl();
  void Finish(const NodeAnswer& answer, absl::StatusOr<NodeReply> reply);

  absl::Status Check(const PrepareRequest& request) const;
  absl::Status CheckNewer(const PrepareRequest& request) const;
  void Build(const PrepareRequest& request, NodeAnswer answer);
  // Fills in plan, core and reply.
  absl::Status MakeCore(Epoch::Setup& setup);
  void Adopt(Epoch::Setup setup);
  // The prepared epoch if it is this one; FAILED_PRECONDITION otherwise.
  absl::StatusOr<std::shared_ptr<Epoch>> Find(const EpochRef& ref) const;
  // `then` once nothing is prepared.
  void StopCurrent(Next then);

  const NodeWorld world_;
  const NodeShellOptions options_;
  NodeRole& role_;
  const Epoch::Report report_;

  TaskLane lane_;              // what controls read and write
  std::deque<Next> controls_;  // the first one is running
  bool shut_down_ = false;

  std::shared_ptr<Epoch> current_;
  std::string prepared_;  // the request, serialised; empty: nothing is
  PrepareReply prepared_reply_;
  EpochRef newest_;               // prepared last, released or not
  std::optional<EpochRef> held_;  // newest_, until it is released
  NodeCounters counters_;

  std::unique_ptr<FabricListener> listener_;
  LineLimit refusals_;
};

}  // namespace waferstream
