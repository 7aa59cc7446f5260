// The accepting end of the tcp and the shm adapter.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/credentials.h"
#include "fabric/fabric.h"
#include "fabric/fabric_kind.h"
#include "fabric/tcp_liveness.h"

namespace boost::asio {
class io_context;
}

namespace waferstream {

struct TcpListenerOptions {
  std::string listen = "127.0.0.1";  // address of this host, a literal
  uint16_t port = 0;                 // 0: any free one
  uint16_t advertised_port = 0;      // where diallers reach it; 0: the port itself
  std::string node_id = "";          // this node, for its Hello
  Credentials credentials = {};      // with a secret, who does not prove it is closed unheard
  // Whether processes of this host are listened to on a Unix socket as well. kAuto: if that can be
  // had, and there are no certificates, which are proved over TLS only.
  FabricKind kind = FabricKind::kTcp;
  absl::Duration hello_timeout = absl::Seconds(5);
  int half_open_max = 256;  // connections without Hello; one more closes the one that waits longest
  absl::Duration dead_after = kTcpDeadAfter;
  absl::Duration alive_every = kAliveEvery;
};

// Accepts until destroyed. Whatever a stranger sends costs it its own connection and nothing else.
// Create and destroy on the io_context's thread, or while nothing runs it. The handler must live
// until then.
class TcpListener final : public FabricListener {
 public:
  // UNAVAILABLE, naming the port, when it cannot be had. FAILED_PRECONDITION: kShm and TLS.
  static absl::StatusOr<std::unique_ptr<TcpListener>> Create(boost::asio::io_context& io,
                                                             const TcpListenerOptions& options,
                                                             AcceptHandler& handler);
  ~TcpListener() override;

  uint16_t port() const override;

 private:
  class Acceptor;
  explicit TcpListener(std::shared_ptr<Acceptor> acceptor);

  std::shared_ptr<Acceptor> acceptor_;
};

}  // namespace waferstream
