#include "node/node_service.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "node/log_tail.h"
#include "proto/node.grpc.pb.h"
#include "rpc/server.h"
#include "rpc/status.h"

namespace waferstream {
namespace {

template <typename Reply>
grpc::Status Answer(absl::StatusOr<Reply> result, Reply* reply) {
  if (result.ok()) *reply = *std::move(result);
  return ToGrpc(result.status());
}

}  // namespace

class NodeService final : public Node::Service {
 public:
  NodeService(NodeShell& shell, std::string log_path)
      : shell_(shell), log_path_(std::move(log_path)) {}

  grpc::Status Prepare(grpc::ServerContext*, const PrepareRequest* request,
                       PrepareReply* reply) override {
    return Answer(shell_.Prepare(*request), reply);
  }
  grpc::Status Connect(grpc::ServerContext*, const EpochRef* ref, Empty*) override {
    return ToGrpc(shell_.Connect(*ref));
  }
  grpc::Status Start(grpc::ServerContext*, const EpochRef* ref, Empty*) override {
    return ToGrpc(shell_.Start(*ref));
  }
  grpc::Status Commit(grpc::ServerContext*, const CommitRequest* request, Empty*) override {
    return ToGrpc(shell_.Commit(*request));
  }
  grpc::Status SealCheckpoint(grpc::ServerContext*, const SealRequest* request,
                              SealReply* reply) override {
    return Answer(shell_.Seal(*request), reply);
  }
  grpc::Status Release(grpc::ServerContext*, const EpochRef* ref, Empty*) override {
    return ToGrpc(shell_.Release(*ref));
  }
  grpc::Status ReadLog(grpc::ServerContext*, const ReadLogRequest* request,
                       ReadLogReply* reply) override {
    absl::StatusOr<std::string> text = ReadTail(log_path_, request->bytes_max());
    if (text.ok()) reply->set_text(*std::move(text));
    return ToGrpc(text.status());
  }

 private:
  NodeShell& shell_;
  const std::string log_path_;
};

absl::StatusOr<std::unique_ptr<NodeServer>> NodeServer::Start(const NodeServerOptions& options,
                                                              NodeShell& shell) {
  auto service = std::make_unique<NodeService>(shell, options.log_path);
  absl::StatusOr<RunningServer> running =
      StartServer(*service, options.listen, options.control_port);
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
