#include "fabric/tcp_socket.h"

#include <boost/asio/error.hpp>

#include "absl/strings/str_cat.h"

namespace waferstream {

using boost::asio::ip::tcp;
using boost::system::error_code;

absl::Status SocketError(const error_code& error) {
  if (!error) return absl::OkStatus();
  if (error == boost::asio::error::eof) return absl::UnavailableError("closed by the peer");
  return absl::UnavailableError(error.message());
}

void SetOptions(tcp::socket& socket) {
  error_code ignored;  // of a connection that is already gone; the next read says so
  socket.set_option(tcp::no_delay(true), ignored);
}

std::string PeerName(const tcp::socket& socket) {
  error_code error;
  const tcp::endpoint peer = socket.remote_endpoint(error);
  if (error) return "unknown peer";
  return absl::StrCat(peer.address().to_string(), ":", peer.port());
}

SocketDeadline::SocketDeadline(tcp::socket& socket, std::chrono::steady_clock::time_point when)
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
