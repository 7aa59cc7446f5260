// The Node service (proto/node.proto), on a gRPC server.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/credentials.h"
#include "node/local_node.h"

namespace grpc {
class Server;
}

namespace waferstream {

class NodeService;

struct NodeServerOptions {
  std::string listen = "127.0.0.1";  // address of this host, a literal
  uint16_t control_port = 0;         // 0: any free one
  std::string log_path = "";         // empty: ReadLog answers with nothing
  Credentials credentials = {};      // with a secret, only who proves it is served
};

// Serves until destroyed; calls still running then are cancelled after a grace of one second. Calls
// run on gRPC's threads and wait there for the node.
class NodeServer {
 public:
  // UNAVAILABLE, naming the port, when it cannot be had.
  static absl::StatusOr<std::unique_ptr<NodeServer>> Start(const NodeServerOptions& options,
                                                           LocalNode& node);
  ~NodeServer();

  uint16_t port() const { return port_; }

 private:
  NodeServer(std::unique_ptr<NodeService> service, std::unique_ptr<grpc::Server> server,
             uint16_t port);

  std::unique_ptr<NodeService> service_;
  std::unique_ptr<grpc::Server> server_;
  const uint16_t port_;
};

}  // namespace waferstream
