// A connection over TCP, in the clear or under TLS, or to a Unix socket, as Asio's stream. Private
// to the adapters.
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "base/tls_identity.h"

namespace waferstream {

// Movable, and where it is moved from it is only to be assigned to or destroyed. While an operation
// waits it may be moved, since what it waits on stays in its place.
class TcpStream {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;
  using executor_type = Socket::executor_type;

  explicit TcpStream(Socket socket) : state_(std::make_unique<State>(std::move(socket))) {}

  Socket& socket() { return state_->socket; }
  executor_type get_executor() { return state_->socket.get_executor(); }

  // The handshake of the end that accepted, or dialled `host` and believes only a certificate for
  // it; from then on everything is under TLS. UNAUTHENTICATED: the peer's certificate is no good,
  // or it found ours so. A deadline is the caller's (SocketDeadline).
  boost::asio::awaitable<absl::Status> AcceptTls(const TlsIdentity& identity);
  boost::asio::awaitable<absl::Status> DialTls(const TlsIdentity& identity,
                                               const std::string& host);
  // Of the peer's certificate; empty: there is no TLS, or it has no role.
  std::string peer_role() const;

  // As Asio's composed operations want it.
  template <typename Buffers, typename Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(boost::system::error_code, size_t)>(
        [this](auto handler, const Buffers& into) {
          if (state_->tls.has_value()) {
            state_->tls->async_read_some(into, std::move(handler));
          } else {
            state_->socket.async_read_some(into, std::move(handler));
          }
        },
        token, buffers);
  }
  template <typename Buffers, typename Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(boost::system::error_code, size_t)>(
        [this](auto handler, const Buffers& from) {
          if (state_->tls.has_value()) {
            state_->tls->async_write_some(from, std::move(handler));
          } else {
            state_->socket.async_write_some(from, std::move(handler));
          }
        },
        token, buffers);
  }

 private:
  using Tls = boost::asio::ssl::stream<Socket&>;

  struct State {
    explicit State(Socket from) : socket(std::move(from)) {}
    Socket socket;
    std::shared_ptr<SSL_CTX> context;  // outlives tls
    std::optional<Tls> tls;
  };

  boost::asio::awaitable<absl::Status> Handshake(boost::asio::ssl::stream_base::handshake_type end);

  std::unique_ptr<State> state_;
};

}  // namespace waferstream
