// The caller's half of rpc/doorkeeper.h, for every call on a channel.
#pragma once

#include <grpcpp/support/client_interceptor.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/cluster_secret.h"

namespace waferstream {

// Makes the interceptors of a channel to `address` (for messages), whose port is `port`. They give
// each call its proof, and turn what anybody else than a process of the cluster answered into
// UNAUTHENTICATED: it is not the peer's word.
std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface> MakeProver(
    std::shared_ptr<const ClusterSecret> secret, std::string address, uint16_t port);

}  // namespace waferstream
