// The Hello exchange at the head of a connection. Private to the tcp adapter.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fabric/tcp_stream.h"
#include "proto/fabric.pb.h"

namespace waferstream {

// A Hello names a job and a node; a longer payload is not one.
inline constexpr size_t kHelloBytesMax = 4096;

// Writes a Hello frame with this build's protocol version.
boost::asio::awaitable<absl::Status> WriteHello(TcpStream& stream, Hello hello);

// Reads one. FAILED_PRECONDITION: the peer speaks another protocol version; INVALID_ARGUMENT or
// DATA_LOSS: what arrived is no Hello; UNAVAILABLE: the connection is gone.
boost::asio::awaitable<absl::StatusOr<Hello>> ReadHello(TcpStream& stream);

}  // namespace waferstream
