// Where every gRPC server of the system is made.
#pragma once

#include <grpcpp/server.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace waferstream {

struct RunningServer {
  std::unique_ptr<grpc::Server> server;
  uint16_t port = 0;
};

// Serves `service`, which must outlive the server, on one address of this host (a literal; port 0:
// any free one) until the server is destroyed. A port is never shared with another process.
// UNAVAILABLE, naming the address, when it cannot be had.
absl::StatusOr<RunningServer> StartServer(grpc::Service& service, const std::string& listen,
                                          uint16_t port);

}  // namespace waferstream
