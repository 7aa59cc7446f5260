#include "node/node_service.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "node/log_tail.h"
#include "proto/node.grpc.pb.h"

namespace waferstream {
namespace {

// The codes of gRPC and Abseil are the same numbers.
grpc::Status ToGrpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
}

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

absl::StatusOr<std::unique_ptr<NodeServer>> NodeServer::Start(uint16_t control_port,
                                                              std::string log_path,
                                                              NodeShell& shell) {
  auto service = std::make_unique<NodeService>(shell, std::move(log_path));
  int bound = 0;
  grpc::ServerBuilder builder;
  // With it, gRPC's default, two nodes given the same port would share it without a word.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // The controller pings every second while a call is under way; by default gRPC takes that for an
  // attack and hangs up.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 500);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
  builder.AddListeningPort(absl::StrCat("0.0.0.0:", control_port),
                           grpc::InsecureServerCredentials(), &bound);
  builder.RegisterService(service.get());
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || bound == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on control port ", control_port, ": is it in use?"));
  }
  return std::unique_ptr<NodeServer>(
      new NodeServer(std::move(service), std::move(server), static_cast<uint16_t>(bound)));
}

NodeServer::NodeServer(std::unique_ptr<NodeService> service, std::unique_ptr<grpc::Server> server,
                       uint16_t port)
    : service_(std::move(service)), server_(std::move(server)), port_(port) {}

NodeServer::~NodeServer() {
  server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
}

}  // namespace waferstream
