// A node's shell in the production world, with calls that block, as gRPC's threads make them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/asio_loop.h"
#include "fabric/fabric.h"
#include "fabric/tcp_listener.h"
#include "node/control.h"
#include "node/node_shell.h"
#include "node/thread_lanes.h"

namespace waferstream {

// How a node reaches others. Called once; everything else on the context's thread.
using FabricMaker = std::function<std::unique_ptr<Fabric>(boost::asio::io_context& io)>;
FabricMaker OverTcp(const TcpListenerOptions& options);

// Role: the loop, the fabric, the lane threads, and the shell that lives on them.
// Thread rule: every call from any thread but the loop's; a call blocks until it is answered.
class LocalNode {
 public:
  struct Options {
    std::string node_id;
    FabricMaker fabric = OverTcp({});
    absl::Duration connect_timeout = NodeShellOptions().connect_timeout;
  };

  // `role` outlives the node. `report` is called on the loop.
  LocalNode(Options options, NodeRole& role, Epoch::Report report);
  ~LocalNode();  // stops

  absl::Status Listen();
  uint16_t fabric_port() const { return shell_->fabric_port(); }
  AsioLoop& loop() { return loop_; }
  // On the loop.
  const NodeShell& shell() const { return *shell_; }

  absl::StatusOr<PrepareReply> Prepare(const PrepareRequest& request);
  absl::Status Connect(const EpochRef& ref) { return Ask(ConnectCall{ref}).status(); }
  absl::Status Start(const EpochRef& ref) { return Ask(StartCall{ref}).status(); }
  absl::Status Commit(const CommitRequest& commit) { return Ask(commit).status(); }
  absl::StatusOr<SealReply> Seal(const SealRequest& request);
  absl::Status Release(const EpochRef& ref) { return Ask(ReleaseCall{ref}).status(); }
  std::optional<EpochRef> holds();
  NodeFacts facts();

  // Releases what is prepared, and prepares nothing more.
  void Shutdown();
  // Shutdown, and the end of the loop's thread. No call afterwards; again: nothing.
  void Stop();

 private:
  absl::StatusOr<NodeReply> Ask(NodeRequest request);

  AsioLoop loop_;
  const std::unique_ptr<Fabric> fabric_;
  ThreadLanes lanes_;
  std::unique_ptr<NodeShell> shell_;  // null: stopped
};

// The NodeLog of production.
void LogLine(LogLevel level, const std::string& line);

}  // namespace waferstream
