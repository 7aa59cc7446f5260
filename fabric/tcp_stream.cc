#include "fabric/tcp_stream.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "fabric/tcp_socket.h"

namespace waferstream {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using boost::system::error_code;

namespace {

// What a certificate must be for.
void ExpectHost(SSL* connection, const std::string& host) {
  X509_VERIFY_PARAM* expected = SSL_get0_param(connection);
  const bool is_address = X509_VERIFY_PARAM_set1_ip_asc(expected, host.c_str()) == 1;
  if (!is_address) WS_CHECK(X509_VERIFY_PARAM_set1_host(expected, host.c_str(), 0) == 1);
}

// OpenSSL's words for a certificate that was not believed are the check's, not the error's.
absl::Status HandshakeError(const error_code& error, SSL* connection) {
  if (error.category() != asio::error::get_ssl_category()) return SocketError(error);
  const long verified = SSL_get_verify_result(connection);
  if (verified != X509_V_OK) {
    return absl::UnauthenticatedError(
        absl::StrCat("denied: the peer's certificate: ", X509_verify_cert_error_string(verified)));
  }
  return absl::UnauthenticatedError(absl::StrCat("denied: TLS: ", error.message()));
}

}  // namespace

asio::awaitable<absl::Status> TcpStream::AcceptTls(const TlsIdentity& identity) {
  state_->context = identity.Context();
  state_->tls.emplace(state_->socket, SSL_new(state_->context.get()));
  co_return co_await Handshake(ssl::stream_base::server);
}

asio::awaitable<absl::Status> TcpStream::DialTls(const TlsIdentity& identity,
                                                 const std::string& host) {
  state_->context = identity.Context();
  state_->tls.emplace(state_->socket, SSL_new(state_->context.get()));
  ExpectHost(state_->tls->native_handle(), host);
  co_return co_await Handshake(ssl::stream_base::client);
}

asio::awaitable<absl::Status> TcpStream::Handshake(ssl::stream_base::handshake_type end) {
  error_code error;
  co_await state_->tls->async_handshake(end, asio::redirect_error(asio::use_awaitable, error));
  if (!error) co_return absl::OkStatus();
  co_return HandshakeError(error, state_->tls->native_handle());
}

std::string TcpStream::peer_role() const {
  return state_->tls.has_value() ? PeerRole(*state_->tls->native_handle()) : "";
}

}  // namespace waferstream
