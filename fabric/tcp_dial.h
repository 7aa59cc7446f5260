// The dialling end of the tcp adapter.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/credentials.h"
#include "fabric/fabric.h"
#include "fabric/tcp_liveness.h"

namespace boost::asio {
class io_context;
}

namespace waferstream {

struct DialTarget {
  std::string host;
  uint16_t port = 0;
  Hello hello;  // this end's; the version is filled in
  ChannelTerms terms;
  absl::Duration timeout;  // of all attempts together
  Credentials credentials = {};
  absl::Duration dead_after = kTcpDeadAfter;
  absl::Duration alive_every = kAliveEvery;
};

// Dials until the peer agrees, again and again with growing pauses, since a peer that is not
// prepared yet closes. Use from the io_context's thread only.
class TcpDial : public PendingDial {
 public:
  // As Fabric::Dial says.
  using Done = Fabric::Dialled;

  static std::shared_ptr<TcpDial> Start(boost::asio::io_context& io, DialTarget target, Done done);
};

}  // namespace waferstream
