#include "node/local_node.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "absl/synchronization/notification.h"
#include "fabric/tcp_fabric.h"

namespace waferstream {

void LogLine(LogLevel level, const std::string& line) {
  switch (level) {
    case LogLevel::kInfo:
      return spdlog::info("{}", line);
    case LogLevel::kWarning:
      return spdlog::warn("{}", line);
    case LogLevel::kError:
      return spdlog::error("{}", line);
  }
}

FabricMaker OverTcp(const TcpListenerOptions& options) {
  return
      [options](boost::asio::io_context& io) { return std::make_unique<TcpFabric>(io, options); };
}

LocalNode::LocalNode(Options options, NodeRole& role, Epoch::Report report)
    : fabric_(options.fabric(loop_.io())),
      lanes_(loop_),
      shell_(std::make_unique<NodeShell>(
          NodeWorld{.loop = loop_, .fabric = *fabric_, .lanes = lanes_, .log = LogLine},
          NodeShellOptions{.node_id = options.node_id, .connect_timeout = options.connect_timeout},
          role, std::move(report))) {}

LocalNode::~LocalNode() { Stop(); }

void LocalNode::Stop() {
  if (shell_ == nullptr) return;
  Shutdown();
  loop_.Drain();
  shell_ = nullptr;
}

absl::Status LocalNode::Listen() {
  return loop_.Call([this] { return shell_->Listen(); });
}

absl::StatusOr<NodeReply> LocalNode::Ask(NodeRequest request) {
  absl::StatusOr<NodeReply> reply;
  absl::Notification answered;
  loop_.Post([&] {
    shell_->Serve(request, [&](absl::StatusOr<NodeReply> answer) {
      reply = std::move(answer);
      answered.Notify();
    });
  });
  answered.WaitForNotification();
  return reply;
}

absl::StatusOr<PrepareReply> LocalNode::Prepare(const PrepareRequest& request) {
  const absl::StatusOr<NodeReply> reply = Ask(request);
  if (!reply.ok()) return reply.status();
  return std::get<PrepareReply>(*reply);
}

absl::StatusOr<SealReply> LocalNode::Seal(const SealRequest& request) {
  const absl::StatusOr<NodeReply> reply = Ask(request);
  if (!reply.ok()) return reply.status();
  return std::get<SealReply>(*reply);
}

std::optional<EpochRef> LocalNode::holds() {
  return loop_.Call([this] { return shell_->holds(); });
}

NodeFacts LocalNode::facts() {
  return loop_.Call([this] { return shell_->facts(); });
}

void LocalNode::Shutdown() {
  absl::Notification done;
  loop_.Post([&] { shell_->Shutdown([&] { done.Notify(); }); });
  done.WaitForNotification();
}

}  // namespace waferstream
