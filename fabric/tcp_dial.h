// The dialling end of the tcp adapter.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/credentials.h"
#include "fabric/channel.h"
#include "fabric/tcp_liveness.h"
#include "proto/fabric.pb.h"

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
};

// Dials until the peer agrees, again and again with growing pauses, since a peer that is not
// prepared yet closes. Use from the io_context's thread only.
class TcpDial {
 public:
  // Exactly one call of `done`, never from inside Start or Cancel. The channel is not yet opened.
  // DEADLINE_EXCEEDED: the last attempt's reason is in the message. FAILED_PRECONDITION: the peer
  // speaks another protocol version. CANCELLED: Cancel() was called.
  using Done = std::function<void(absl::StatusOr<std::shared_ptr<ChannelEnd>>)>;

  virtual ~TcpDial() = default;
  static std::shared_ptr<TcpDial> Start(boost::asio::io_context& io, DialTarget target, Done done);
  virtual void Cancel() = 0;
};

}  // namespace waferstream
