// What the channel, the listener and the dialler share: Status from Asio's errors, socket options,
// deadlines. Private to the tcp adapter.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "fabric/tcp_stream.h"

namespace waferstream {

// ABORTED: "closed by the peer" (in order, or its process ended); otherwise UNAVAILABLE with the
// system's words.
absl::Status SocketError(const boost::system::error_code& error);

// No delay: a credit frame must not wait for an acknowledgement. Buffer sizes stay with the kernel:
// asking for 256 KiB to 4 MiB gained nothing in bench/fabric_bench, and under Debian's default
// limit (net.core.rmem_max, 208 KiB) it would end the auto-tuning far below what that reaches (6
// MiB). A peer that acknowledges nothing for `dead_after`, whether there is something to send or
// not, ends the connection with "Connection timed out". None of it concerns a Unix socket.
void SetOptions(TcpStream::Socket& socket, absl::Duration dead_after);

std::string PeerName(const TcpStream::Socket& socket);

// Whether both ends are processes of this host, which a Unix socket joins.
bool IsOfThisHost(const TcpStream::Socket& socket);

// Closes the socket, which ends the operation waiting on it, unless destroyed before `when`.
class SocketDeadline {
 public:
  SocketDeadline(TcpStream::Socket& socket, std::chrono::steady_clock::time_point when);
  ~SocketDeadline();
  SocketDeadline(const SocketDeadline&) = delete;
  SocketDeadline& operator=(const SocketDeadline&) = delete;

  bool expired() const { return state_->expired; }

 private:
  // Outlives this object in the timer's handler, which may be queued already when it is destroyed.
  struct State {
    TcpStream::Socket* socket;
    bool expired = false;
  };
  std::shared_ptr<State> state_;
  boost::asio::steady_timer timer_;
};

}  // namespace waferstream
