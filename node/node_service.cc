#include "node/node_service.h"

#include <grpcpp/grpcpp.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "node/log_tail.h"
#include "proto/node.grpc.pb.h"
#include "rpc/doorkeeper.h"
#include "rpc/server.h"
#include "rpc/status.h"

namespace waferstream {
namespace {

template <typename Reply>
grpc::Status Answer(absl::StatusOr<Reply> result, Reply* reply) {
  const absl::Status status = result.status();
  if (status.ok()) *reply = *std::move(result);
  return ToGrpc(status);
}

}  // namespace

class NodeService final : public Node::Service {
 public:
  NodeService(const NodeServerOptions& options, LocalNode& node)
      : node_(node),
        log_path_(options.log_path),
        door_(options.credentials, Node::service_full_name(),
              [](const std::string& line) { spdlog::warn("control: {}", line); }) {}

  Doorkeeper& door() { return door_; }

  grpc::Status Prepare(grpc::ServerContext* context, const PrepareRequest* request,
                       PrepareReply* reply) override {
    return Admitted(context, [&] { return Answer(node_.Prepare(*request), reply); });
  }
  grpc::Status Connect(grpc::ServerContext* context, const EpochRef* ref, Empty*) override {
    return Admitted(context, [&] { return ToGrpc(node_.Connect(*ref)); });
  }
  grpc::Status Start(grpc::ServerContext* context, const EpochRef* ref, Empty*) override {
    return Admitted(context, [&] { return ToGrpc(node_.Start(*ref)); });
  }
  grpc::Status Commit(grpc::ServerContext* context, const CommitRequest* request, Empty*) override {
    return Admitted(context, [&] { return ToGrpc(node_.Commit(*request)); });
  }
  grpc::Status SealCheckpoint(grpc::ServerContext* context, const SealRequest* request,
                              SealReply* reply) override {
    return Admitted(context, [&] { return Answer(node_.Seal(*request), reply); });
  }
  grpc::Status Release(grpc::ServerContext* context, const EpochRef* ref, Empty*) override {
    return Admitted(context, [&] { return ToGrpc(node_.Release(*ref)); });
  }
  grpc::Status ReadLog(grpc::ServerContext* context, const ReadLogRequest* request,
                       ReadLogReply* reply) override {
    return Admitted(context, [&] {
      absl::StatusOr<std::string> text = ReadTail(log_path_, request->bytes_max());
      if (!text.ok()) return ToGrpc(text.status());
      reply->set_text(ToUtf8(*text));  // it may begin within a letter
      return grpc::Status::OK;
    });
  }

 private:
  // Does what every method does: nothing, for who is not let in.
  template <typename Work>
  grpc::Status Admitted(grpc::ServerContext* context, Work work) {
    const grpc::Status admitted = door_.Admit(*context, Caller::kController);
    return admitted.ok() ? work() : admitted;
  }

  LocalNode& node_;
  const std::string log_path_;
  Doorkeeper door_;
};

absl::StatusOr<std::unique_ptr<NodeServer>> NodeServer::Start(const NodeServerOptions& options,
                                                              LocalNode& node) {
  auto service = std::make_unique<NodeService>(options, node);
  absl::StatusOr<RunningServer> running = StartServer(*service, {.listen = options.listen,
                                                                 .port = options.control_port,
                                                                 .door = &service->door(),
                                                                 .tls = options.credentials.tls});
  if (!running.ok()) {
    return absl::Status(running.status().code(), absl::StrCat("control port ", options.control_port,
                                                              ": ", running.status().message()));
  }
  return std::unique_ptr<NodeServer>(
      new NodeServer(std::move(service), std::move(running->server), running->port));
}

NodeServer::NodeServer(std::unique_ptr<NodeService> service, std::unique_ptr<grpc::Server> server,
                       uint16_t port)
    : service_(std::move(service)), server_(std::move(server)), port_(port) {}

NodeServer::~NodeServer() {
  server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
}

}  // namespace waferstream
