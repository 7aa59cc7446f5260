#include "fabric/tcp_socket.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/detail/socket_option.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/ssl/error.hpp>
#include <cstring>

#include "base/host_port.h"

namespace waferstream {

using boost::asio::ip::tcp;
using boost::system::error_code;
namespace asio = boost::asio;

namespace {

// An option of the protocol that Asio has no name for.
template <int kName>
using TcpOption = asio::detail::socket_option::integer<IPPROTO_TCP, kName>;

}  // namespace

absl::Status SocketError(const error_code& error) {
  if (!error) return absl::OkStatus();
  // A reset says the same as an end of the stream: it comes when bytes of ours were still unread.
  if (error == boost::asio::error::eof || error == boost::asio::error::connection_reset ||
      error == boost::asio::error::broken_pipe ||
      error == boost::asio::ssl::error::stream_truncated) {  // under TLS, without a goodbye
    return absl::AbortedError("closed by the peer");
  }
  return absl::UnavailableError(error.message());
}

void SetOptions(TcpStream::Socket& socket, absl::Duration dead_after) {
  if (IsOfThisHost(socket)) return;
  error_code ignored;  // of a connection that is already gone; the next read says so
  socket.set_option(tcp::no_delay(true), ignored);
  // Data that nobody acknowledges is one case, an idle connection the other: there the first probe
  // leaves after a second, and one more second, or `dead_after`, decides.
  socket.set_option(
      TcpOption<TCP_USER_TIMEOUT>(static_cast<int>(dead_after / absl::Milliseconds(1))), ignored);
  socket.set_option(TcpOption<TCP_KEEPIDLE>(1), ignored);
  socket.set_option(TcpOption<TCP_KEEPINTVL>(1), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
}

std::string PeerName(const TcpStream::Socket& socket) {
  error_code error;
  const auto peer = socket.remote_endpoint(error);
  if (error) return "unknown peer";
  if (peer.protocol().family() == AF_UNIX) return "a process of this host";
  tcp::endpoint endpoint;
  endpoint.resize(peer.size());
  std::memcpy(endpoint.data(), peer.data(), peer.size());
  return JoinHostPort(endpoint.address().to_string(), endpoint.port());
}

bool IsOfThisHost(const TcpStream::Socket& socket) {
  error_code error;
  return socket.local_endpoint(error).protocol().family() == AF_UNIX;
}

SocketDeadline::SocketDeadline(TcpStream::Socket& socket,
                               std::chrono::steady_clock::time_point when)
    : state_(std::make_shared<State>(State{&socket})), timer_(socket.get_executor(), when) {
  timer_.async_wait([state = state_](const error_code& error) {
    if (error || state->socket == nullptr) return;
    state->expired = true;
    error_code ignored;
    state->socket->close(ignored);
  });
}

SocketDeadline::~SocketDeadline() { state_->socket = nullptr; }

}  // namespace waferstream
