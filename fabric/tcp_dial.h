// The dialling end of the tcp and the shm adapter.
#pragma once

#include <memory>

#include "absl/time/time.h"
#include "base/credentials.h"
#include "fabric/fabric.h"
#include "fabric/fabric_kind.h"
#include "fabric/tcp_liveness.h"

namespace boost::asio {
class io_context;
}

namespace waferstream {

struct TcpDialOptions {
  Credentials credentials = {};
  absl::Duration dead_after = kTcpDeadAfter;
  absl::Duration alive_every = kAliveEvery;
  FabricKind kind = FabricKind::kTcp;
};

// Fabric::Dial with growing pauses between the attempts. An attempt of kAuto asks a peer of this
// host on its Unix socket first, and over TCP if nobody there agrees: that name may be another
// cluster's. Use from the io_context's thread only.
std::shared_ptr<PendingDial> StartTcpDial(boost::asio::io_context& io, DialRequest request,
                                          TcpDialOptions options, Fabric::Dialled done);

}  // namespace waferstream
