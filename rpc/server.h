// Where every gRPC server of the system is made.
#pragma once

#include <grpcpp/server.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/tls_identity.h"
#include "rpc/doorkeeper.h"

namespace waferstream {

struct ServerOptions {
  std::string listen = "127.0.0.1";  // address of this host, a literal
  uint16_t port = 0;                 // 0: any free one
  uint16_t advertised_port = 0;      // at which others reach it; 0: the port itself
  Doorkeeper* door = nullptr;        // of the service; opened here. Null: a test's, open to all
  std::shared_ptr<const TlsIdentity> tls = nullptr;  // null: in the clear
};

struct RunningServer {
  std::unique_ptr<grpc::Server> server;
  uint16_t port = 0;
};

// Serves `service`, which must outlive the server, on one address until the server is destroyed. A
// port is never shared with another process. UNAVAILABLE, naming the address, when it cannot be
// had.
absl::StatusOr<RunningServer> StartServer(grpc::Service& service, const ServerOptions& options);

}  // namespace waferstream
