#include "fabric/tcp_dial.h"

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/host_port.h"
#include "fabric/dial_pauses.h"
#include "fabric/hello_proof.h"
#include "fabric/shm_socket.h"
#include "fabric/stream_channel.h"
#include "fabric/tcp_hello.h"
#include "fabric/tcp_socket.h"

namespace waferstream {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

using Clock = std::chrono::steady_clock;
using Endpoint = TcpStream::Socket::endpoint_type;

// Of one attempt: a peer that accepts and then hangs must not take the whole deadline.
constexpr auto kAttempt = std::chrono::seconds(2);
// On the Unix socket, if TCP may be tried afterwards.
constexpr auto kShmAttempt = std::chrono::seconds(1);

class TcpDial final : public PendingDial, public std::enable_shared_from_this<TcpDial> {
 public:
  TcpDial(asio::io_context& io, DialRequest request, TcpDialOptions options, Fabric::Dialled done)
      : request_(std::move(request)),
        options_(std::move(options)),
        done_(std::move(done)),
        deadline_(Clock::now() + absl::ToChronoMilliseconds(request_.timeout)),
        stream_(TcpStream::Socket(io)),
        resolver_(io),
        pause_(io) {}

  void Run() {
    asio::co_spawn(
        stream_.get_executor(), [self = shared_from_this()] { return self->TryUntilDeadline(); },
        asio::detached);
  }

  void Cancel() override {
    cancelled_ = true;
    if (finished_) return;
    error_code ignored;
    stream_.socket().close(ignored);
    resolver_.cancel();
    pause_.cancel();
  }

 private:
  asio::awaitable<void> TryUntilDeadline();
  asio::awaitable<absl::Status> Attempt();
  asio::awaitable<absl::Status> Reach(const std::vector<Endpoint>& endpoints,
                                      Clock::duration limit);
  asio::awaitable<absl::Status> ConnectAndGreet(const std::vector<Endpoint>& endpoints);
  asio::awaitable<absl::Status> Prove();
  asio::awaitable<absl::Status> Greet();
  bool MayShareMemory(const std::vector<tcp::endpoint>& found) const;
  absl::Status Agrees(const Hello& answer) const;
  void Finish(const absl::Status& status);

  const DialRequest request_;
  const TcpDialOptions options_;
  Fabric::Dialled done_;
  const Clock::time_point deadline_;
  TcpStream stream_;
  tcp::resolver resolver_;
  asio::steady_timer pause_;
  uint16_t protocol_ = 0;  // of the channel
  bool cancelled_ = false;
  bool finished_ = false;  // the stream is the channel's
};

asio::awaitable<void> TcpDial::TryUntilDeadline() {
  DialPauses pauses;
  absl::Status before = absl::OkStatus();  // the attempt before
  while (true) {
    const auto pause = absl::ToChronoMilliseconds(pauses.Next());
    absl::Status status = co_await Attempt();
    // The end of the time cuts an attempt short, which says less than the one before.
    if (absl::IsDeadlineExceeded(status) && !before.ok()) status = before;
    before = status;
    if (cancelled_) status = absl::CancelledError("dial cancelled");
    if (status.ok() || cancelled_ || absl::IsFailedPrecondition(status)) co_return Finish(status);
    if (Clock::now() + pause > deadline_) {
      co_return Finish(absl::DeadlineExceededError(absl::StrCat(
          "no channel within ", absl::FormatDuration(request_.timeout), ": ", status.message())));
    }
    error_code error;
    pause_.expires_after(pause);
    co_await pause_.async_wait(asio::redirect_error(asio::use_awaitable, error));
    if (cancelled_) co_return Finish(absl::CancelledError("dial cancelled"));
  }
}

asio::awaitable<absl::Status> TcpDial::Attempt() {
  error_code error;
  const auto resolved = co_await resolver_.async_resolve(
      request_.host, absl::StrCat(request_.port), asio::redirect_error(asio::use_awaitable, error));
  if (error || cancelled_) co_return SocketError(error);
  std::vector<tcp::endpoint> found;
  for (const auto& entry : resolved) found.push_back(entry.endpoint());
  if (MayShareMemory(found)) {
    const std::vector<Endpoint> here(1, ShmEndpoint(request_.port));
    const absl::Status status = co_await Reach(here, kShmAttempt);
    if (status.ok() || options_.kind == FabricKind::kShm) co_return status;
  } else if (options_.kind == FabricKind::kShm) {
    co_return absl::FailedPreconditionError("fabric shm: not an address of this host");
  }
  std::vector<Endpoint> endpoints;
  for (const tcp::endpoint& endpoint : found) endpoints.emplace_back(endpoint);
  co_return co_await Reach(endpoints, kAttempt);
}

bool TcpDial::MayShareMemory(const std::vector<tcp::endpoint>& found) const {
  const auto here = [](const tcp::endpoint& at) { return IsOfThisHost(at.address()); };
  return options_.kind != FabricKind::kTcp && options_.credentials.tls == nullptr &&
         std::any_of(found.begin(), found.end(), here);
}

asio::awaitable<absl::Status> TcpDial::Reach(const std::vector<Endpoint>& endpoints,
                                             Clock::duration limit) {
  if (cancelled_) co_return absl::CancelledError("dial cancelled");
  stream_ = TcpStream(TcpStream::Socket(resolver_.get_executor()));
  SocketDeadline deadline(stream_.socket(), std::min(deadline_, Clock::now() + limit));
  absl::Status status = co_await ConnectAndGreet(endpoints);
  if (deadline.expired() && Clock::now() >= deadline_) {
    status = absl::DeadlineExceededError("the peer did not answer");
  } else if (deadline.expired()) {
    status = absl::UnavailableError("the peer did not answer");
  }
  co_return status;
}

// A name may stand for several addresses; the first that answers is the peer.
asio::awaitable<absl::Status> TcpDial::ConnectAndGreet(const std::vector<Endpoint>& endpoints) {
  error_code error;
  for (const Endpoint& endpoint : endpoints) {
    error_code ignored;
    if (error) stream_.socket().close(ignored);
    co_await stream_.socket().async_connect(endpoint,
                                            asio::redirect_error(asio::use_awaitable, error));
    if (!error || error == asio::error::operation_aborted) break;
  }
  if (error) co_return SocketError(error);
  SetOptions(stream_.socket(), options_.dead_after);
  const absl::Status status = co_await Prove();
  if (!status.ok()) co_return status;
  co_return co_await Greet();
}

// Who is at the other end, as far as the connection tells.
asio::awaitable<absl::Status> TcpDial::Prove() {
  if (IsOfThisHost(stream_.socket())) co_return CheckSameUser(stream_.socket());
  if (options_.credentials.tls == nullptr) co_return absl::OkStatus();
  const absl::Status status = co_await stream_.DialTls(*options_.credentials.tls, request_.host);
  if (!status.ok()) co_return status;
  if (stream_.peer_role() == request_.peer_role) co_return absl::OkStatus();
  co_return absl::UnauthenticatedError(absl::StrCat("denied: the certificate there is of role '",
                                                    stream_.peer_role(), "', not ",
                                                    request_.peer_role));
}

asio::awaitable<absl::Status> TcpDial::Greet() {
  const ClusterSecret* secret = options_.credentials.secret.get();
  Hello hello = request_.hello;
  HelloNonces nonces;
  if (secret != nullptr) {
    const absl::StatusOr<Hello> greeting = co_await ReadHello(stream_);
    if (!greeting.ok()) co_return greeting.status();
    nonces = {.listener = greeting->nonce(), .dialler = Nonce()};
    hello.set_nonce(nonces.dialler);
    hello.set_port(request_.port);
    hello.set_proof(DiallerProof(*secret, hello, nonces));
  }
  absl::Status status = co_await WriteHello(stream_, hello);
  if (!status.ok()) co_return status;
  const absl::StatusOr<Hello> answer = co_await ReadHello(stream_);
  if (!answer.ok()) co_return answer.status();
  const absl::StatusOr<uint16_t> protocol = ProtocolWith(*answer);
  if (!protocol.ok()) co_return protocol.status();
  protocol_ = *protocol;
  if (secret != nullptr && !IsListeners(*secret, *answer, nonces)) {
    co_return absl::UnauthenticatedError(
        "whoever listens there does not know the cluster's secret");
  }
  co_return Agrees(*answer);
}

absl::Status TcpDial::Agrees(const Hello& answer) const {
  const Hello& ours = request_.hello;
  if (answer.job_id() == ours.job_id() && answer.epoch() == ours.epoch() &&
      answer.plan_hash() == ours.plan_hash() && answer.channel() == ours.channel()) {
    return absl::OkStatus();
  }
  return absl::UnavailableError(absl::StrCat("node ", answer.node_id(),
                                             " answered with another job, epoch, plan or channel"));
}

void TcpDial::Finish(const absl::Status& status) {
  finished_ = true;
  if (status.ok()) {
    ChannelTerms terms = request_.terms;
    terms.protocol = protocol_;
    done_(MakeChannel(std::move(stream_), terms, options_.alive_every));
  } else {
    done_(absl::Status(status.code(),
                       absl::StrCat("dialling ", JoinHostPort(request_.host, request_.port), ": ",
                                    status.message())));
  }
  done_ = nullptr;
}

}  // namespace

std::shared_ptr<PendingDial> StartTcpDial(asio::io_context& io, DialRequest request,
                                          TcpDialOptions options, Fabric::Dialled done) {
  auto dial =
      std::make_shared<TcpDial>(io, std::move(request), std::move(options), std::move(done));
  // Posted, so that the caller holds the dial before it can be done.
  asio::post(io, [dial] { dial->Run(); });
  return dial;
}

}  // namespace waferstream
