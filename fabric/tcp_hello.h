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

// Writes a Hello frame with this build's protocols.
boost::asio::awaitable<absl::Status> WriteHello(TcpStream& stream, Hello hello);

// Reads one. INVALID_ARGUMENT or DATA_LOSS: what arrived is no Hello; UNAVAILABLE: the connection
// is gone.
boost::asio::awaitable<absl::StatusOr<Hello>> ReadHello(TcpStream& stream);

// The protocol of all frames after the Hellos. FAILED_PRECONDITION: the ends have none in common.
absl::StatusOr<uint16_t> ProtocolWith(const Hello& theirs);

}  // namespace waferstream
