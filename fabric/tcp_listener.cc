#include "fabric/tcp_listener.h"

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <list>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/host_port.h"
#include "fabric/hello_proof.h"
#include "fabric/shm_socket.h"
#include "fabric/stream_channel.h"
#include "fabric/tcp_hello.h"
#include "fabric/tcp_socket.h"

namespace waferstream {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// Shared by the accepting coroutine and one coroutine a half-open connection; ends when Close() has
// closed all their sockets.
class TcpListener::Acceptor : public std::enable_shared_from_this<Acceptor> {
 public:
  Acceptor(asio::io_context& io, const TcpListenerOptions& options, AcceptHandler& handler)
      : options_(options), handler_(&handler), acceptor_(io), of_this_host_(io) {}

  absl::Status Listen();
  absl::Status ListenToThisHost();
  void Start();
  void Close();
  uint16_t port() const { return port_; }

 private:
  template <typename Protocol>
  asio::awaitable<void> AcceptAll(asio::basic_socket_acceptor<Protocol>& acceptor);
  void MakeRoom();
  asio::awaitable<void> Welcome(TcpStream::Socket accepted);
  asio::awaitable<absl::Status> Handshake(TcpStream& stream, Hello* theirs, ChannelTerms* terms);
  asio::awaitable<absl::Status> Greet(TcpStream& stream, Hello* theirs, ChannelTerms* terms);

  uint16_t advertised_port() const {
    return options_.advertised_port != 0 ? options_.advertised_port : port_;
  }

  const TcpListenerOptions options_;
  AcceptHandler* handler_;  // null once closed
  tcp::acceptor acceptor_;
  asio::local::stream_protocol::acceptor of_this_host_;  // closed: nobody listens there
  uint16_t port_ = 0;
  // Without Hello, longest waiting first. Null: closed to make room, and about to end.
  std::list<TcpStream::Socket*> half_open_;
};

absl::Status TcpListener::Acceptor::Listen() {
  error_code error;
  const tcp::endpoint endpoint(asio::ip::make_address(options_.listen, error), options_.port);
  if (!error) acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return absl::UnavailableError(absl::StrCat("fabric port ", options_.port, ": cannot listen on ",
                                               JoinHostPort(options_.listen, options_.port), ": ",
                                               error.message()));
  }
  port_ = acceptor_.local_endpoint().port();
  if (options_.kind == FabricKind::kTcp) return absl::OkStatus();
  const absl::Status here = ListenToThisHost();
  return options_.kind == FabricKind::kShm ? here : absl::OkStatus();
}

absl::Status TcpListener::Acceptor::ListenToThisHost() {
  if (options_.credentials.tls != nullptr) {
    return absl::FailedPreconditionError(
        "fabric shm: certificates are proved over TLS only: use fabric auto or tcp");
  }
  error_code error;
  const auto endpoint = ShmEndpoint(port_);
  of_this_host_.open(endpoint.protocol(), error);
  if (!error) of_this_host_.bind(endpoint, error);
  if (!error) of_this_host_.listen(asio::socket_base::max_listen_connections, error);
  if (!error) return absl::OkStatus();
  error_code ignored;
  of_this_host_.close(ignored);
  return absl::UnavailableError(absl::StrCat(
      "fabric port ", port_, ": cannot listen to processes of this host: ", error.message()));
}

void TcpListener::Acceptor::Start() {
  asio::co_spawn(
      acceptor_.get_executor(),
      [self = shared_from_this()] { return self->AcceptAll(self->acceptor_); }, asio::detached);
  if (!of_this_host_.is_open()) return;
  asio::co_spawn(
      acceptor_.get_executor(),
      [self = shared_from_this()] { return self->AcceptAll(self->of_this_host_); }, asio::detached);
}

void TcpListener::Acceptor::Close() {
  handler_ = nullptr;
  error_code ignored;
  acceptor_.close(ignored);
  of_this_host_.close(ignored);
  for (TcpStream::Socket* socket : half_open_) {
    if (socket != nullptr) socket->close(ignored);
  }
}

template <typename Protocol>
asio::awaitable<void> TcpListener::Acceptor::AcceptAll(
    asio::basic_socket_acceptor<Protocol>& acceptor) {
  asio::steady_timer pause(acceptor.get_executor());
  while (handler_ != nullptr) {
    error_code error;
    TcpStream::Socket socket(acceptor.get_executor());
    co_await acceptor.async_accept(socket, asio::redirect_error(asio::use_awaitable, error));
    if (handler_ == nullptr) co_return;
    if (error) {
      // Out of descriptors, most likely: the connection stays in the backlog, so do not spin on it.
      handler_->OnRefused(absl::StrCat("cannot accept a connection: ", error.message()));
      pause.expires_after(std::chrono::milliseconds(100));
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
    } else {
      MakeRoom();
      asio::co_spawn(
          acceptor.get_executor(),
          [self = shared_from_this(), socket = std::move(socket)]() mutable {
            return self->Welcome(std::move(socket));
          },
          asio::detached);
    }
  }
}

// Whoever means it says Hello at once; so many that do not must not keep it out.
void TcpListener::Acceptor::MakeRoom() {
  const auto waits = [](const TcpStream::Socket* socket) { return socket != nullptr; };
  const auto count = std::count_if(half_open_.begin(), half_open_.end(), waits);
  if (count < options_.half_open_max) return;
  const auto longest = std::find_if(half_open_.begin(), half_open_.end(), waits);
  error_code ignored;
  std::exchange(*longest, nullptr)->close(ignored);
}

asio::awaitable<void> TcpListener::Acceptor::Welcome(TcpStream::Socket accepted) {
  const std::string peer = PeerName(accepted);
  SetOptions(accepted, options_.dead_after);
  TcpStream stream(std::move(accepted));
  const auto place = half_open_.insert(half_open_.end(), &stream.socket());
  Hello theirs;
  ChannelTerms terms;
  absl::Status status;
  {
    SocketDeadline deadline(
        stream.socket(),
        std::chrono::steady_clock::now() + absl::ToChronoMilliseconds(options_.hello_timeout));
    status = co_await Handshake(stream, &theirs, &terms);
    if (deadline.expired()) {
      status = absl::DeadlineExceededError(
          absl::StrCat("no Hello within ", absl::FormatDuration(options_.hello_timeout)));
    } else if (*place == nullptr) {
      status = absl::ResourceExhaustedError(
          absl::StrCat("no Hello before ", options_.half_open_max, " others came"));
    }
  }
  half_open_.erase(place);
  if (handler_ == nullptr) co_return;
  if (status.ok()) {
    handler_->OnChannel(theirs, MakeChannel(std::move(stream), terms, options_.alive_every));
  } else {
    handler_->OnRefused(absl::StrCat("closed a connection from ", peer, ": ", status.message()));
  }
}

asio::awaitable<absl::Status> TcpListener::Acceptor::Handshake(TcpStream& stream, Hello* theirs,
                                                               ChannelTerms* terms) {
  if (IsOfThisHost(stream.socket())) {
    const absl::Status status = CheckSameUser(stream.socket());
    if (!status.ok()) co_return status;
  } else if (options_.credentials.tls != nullptr) {
    const absl::Status status = co_await stream.AcceptTls(*options_.credentials.tls);
    if (!status.ok()) co_return status;
  }
  co_return co_await Greet(stream, theirs, terms);
}

asio::awaitable<absl::Status> TcpListener::Acceptor::Greet(TcpStream& stream, Hello* theirs,
                                                           ChannelTerms* terms) {
  const ClusterSecret* secret = options_.credentials.secret.get();
  HelloNonces nonces;
  if (secret != nullptr) {
    Hello greeting;
    greeting.set_node_id(options_.node_id);
    greeting.set_nonce(nonces.listener = Nonce());
    const absl::Status greeted = co_await WriteHello(stream, greeting);
    if (!greeted.ok()) co_return greeted;
  }
  absl::StatusOr<Hello> hello = co_await ReadHello(stream);
  if (!hello.ok()) co_return hello.status();
  const absl::StatusOr<uint16_t> protocol = ProtocolWith(*hello);
  if (!protocol.ok()) {
    // Saying ours lets the dialler see that trying again is of no use.
    Hello ours;
    ours.set_node_id(options_.node_id);
    (void)co_await WriteHello(stream, ours);
    co_return protocol.status();
  }
  if (handler_ == nullptr) co_return absl::CancelledError("closed");
  if (secret != nullptr) {
    nonces.dialler = hello->nonce();
    if (hello->port() != advertised_port() || !IsDiallers(*secret, *hello, nonces)) {
      co_return absl::UnauthenticatedError("denied: no proof of the cluster's secret");
    }
  }
  if (options_.credentials.tls != nullptr && hello->role() != stream.peer_role()) {
    co_return absl::UnauthenticatedError(absl::StrCat("denied: the certificate is of role '",
                                                      stream.peer_role(), "', and claims ",
                                                      hello->role()));
  }
  absl::StatusOr<ChannelTerms> admitted = handler_->Admit(*hello);
  if (!admitted.ok()) co_return admitted.status();
  *theirs = *hello;
  *terms = *admitted;
  terms->protocol = *protocol;
  hello->set_node_id(options_.node_id);
  if (secret != nullptr) hello->set_proof(ListenerProof(*secret, *hello, nonces));
  co_return co_await WriteHello(stream, *hello);
}

absl::StatusOr<std::unique_ptr<TcpListener>> TcpListener::Create(asio::io_context& io,
                                                                 const TcpListenerOptions& options,
                                                                 AcceptHandler& handler) {
  auto acceptor = std::make_shared<Acceptor>(io, options, handler);
  const absl::Status status = acceptor->Listen();
  if (!status.ok()) return status;
  acceptor->Start();
  return std::unique_ptr<TcpListener>(new TcpListener(std::move(acceptor)));
}

TcpListener::TcpListener(std::shared_ptr<Acceptor> acceptor) : acceptor_(std::move(acceptor)) {}

TcpListener::~TcpListener() { acceptor_->Close(); }

uint16_t TcpListener::port() const { return acceptor_->port(); }

}  // namespace waferstream
