// The dialling end of the tcp adapter.
#pragma once

#include <memory>

#include "absl/time/time.h"
#include "base/credentials.h"
#include "fabric/fabric.h"
#include "fabric/tcp_liveness.h"

namespace boost::asio {
class io_context;
}

namespace waferstream {

struct TcpDialOptions {
  Credentials credentials = {};
  absl::Duration dead_after = kTcpDeadAfter;
  absl::Duration alive_every = kAliveEvery;
};

// Fabric::Dial over TCP, with growing pauses between the attempts. Use from the io_context's thread
// only.
std::shared_ptr<PendingDial> StartTcpDial(boost::asio::io_context& io, DialRequest request,
                                          TcpDialOptions options, Fabric::Dialled done);

}  // namespace waferstream
