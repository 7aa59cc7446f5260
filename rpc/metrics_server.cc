#include "rpc/metrics_server.h"

#include <prometheus/text_serializer.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <thread>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/version.h"

namespace waferstream {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr int kConnectionsMax = 16;        // one more is closed at once
constexpr size_t kRequestBytesMax = 8192;  // a longer one is closed
constexpr std::chrono::seconds kPatience(10);
constexpr std::chrono::milliseconds kAcceptPause(100);  // when there is no descriptor left

// What every process says of itself.
class Page {
 public:
  explicit Page(MetricsOptions options) : options_(std::move(options)) {}

  std::string Text() const {
    MetricFamilies families = options_.collect();
    prometheus::MetricFamily build =
        GaugeFamily("build_info", "Which program this is, and of which build; always 1");
    AddSample(build, 1, {{"process", options_.process}, {"version", Version()}});
    families.push_back(std::move(build));
    prometheus::MetricFamily start =
        GaugeOf("", "When the process began to serve, in seconds since 1970",
                absl::ToDoubleSeconds(start_ - absl::UnixEpoch()));
    start.name = "process_start_time_seconds";  // as it is called everywhere
    families.push_back(std::move(start));
    return prometheus::TextSerializer().Serialize(families);
  }

 private:
  const MetricsOptions options_;
  const absl::Time start_ = absl::Now();
};

using Tcp = beast::tcp_stream;
using Tls = asio::ssl::stream<Tcp>;

// What the connections of a server share. On its thread.
struct Shared {
  const Page page;
  int open = 0;  // connections
};

// One request and its answer. Lives as long as something is waited for.
template <typename Stream>
class Connection : public std::enable_shared_from_this<Connection<Stream>> {
 public:
  template <typename... Terms>
  explicit Connection(Shared& shared, Terms&&... stream)
      : stream_(std::forward<Terms>(stream)...), shared_(shared) {
    ++shared_.open;
  }
  ~Connection() { --shared_.open; }

  void Begin() {
    Socket().expires_after(kPatience);
    if constexpr (kIsTls) {
      stream_.async_handshake(Tls::server,
                              [self = this->shared_from_this()](const error_code& error) {
                                if (!error) self->Read();
                              });
    } else {
      Read();
    }
  }

 private:
  static constexpr bool kIsTls = std::is_same_v<Stream, Tls>;

  beast::tcp_stream& Socket() { return beast::get_lowest_layer(stream_); }

  void Read() {
    http::async_read(stream_, buffer_, request_,
                     [self = this->shared_from_this()](const error_code& error, size_t) {
                       if (!error) self->Answer();
                     });
  }

  // Who may look at jobs and nodes with waferctl may look at this.
  bool Admitted() {
    if constexpr (kIsTls) return PeerRole(*stream_.native_handle()) == "user";
    return true;
  }

  void Answer() {
    const std::string target(request_.target());
    answer_.version(request_.version());
    answer_.keep_alive(false);
    if (!Admitted()) {
      answer_.result(http::status::forbidden);
    } else if (request_.method() != http::verb::get) {
      answer_.result(http::status::method_not_allowed);
    } else if (target.substr(0, target.find('?')) != "/metrics") {
      answer_.result(http::status::not_found);
    } else {
      answer_.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
      answer_.body() = shared_.page.Text();
    }
    answer_.prepare_payload();
    Socket().expires_after(kPatience);
    http::async_write(stream_, answer_,
                      [self = this->shared_from_this()](const error_code& error, size_t) {
                        if (!error) self->End();
                      });
  }

  void End() {
    if constexpr (kIsTls) {
      stream_.async_shutdown([self = this->shared_from_this()](const error_code&) {});
    } else {
      error_code ignored;
      stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    }
  }

  Stream stream_;
  Shared& shared_;
  beast::flat_buffer buffer_{kRequestBytesMax};
  http::request<http::empty_body> request_;
  http::response<http::string_body> answer_;
};

// Everything but construction and destruction on its thread.
class Serving final : public MetricsServer {
 public:
  explicit Serving(MetricsOptions options)
      : tls_(options.tls), shared_{.page = Page(std::move(options))} {}
  ~Serving() override {
    io_.stop();
    if (thread_.joinable()) thread_.join();
  }

  absl::Status Listen(const std::string& address, uint16_t port) {
    error_code error;
    const tcp::endpoint endpoint(asio::ip::make_address(address, error), port);
    if (!error) acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(tcp::acceptor::max_listen_connections, error);
    if (error) {
      return absl::UnavailableError(
          absl::StrCat("metrics port ", port, ": ", address, ": ", error.message()));
    }
    port_ = acceptor_.local_endpoint(error).port();
    Accept();
    thread_ = std::thread([this] { io_.run(); });
    return absl::OkStatus();
  }

  uint16_t port() const override { return port_; }

 private:
  void Accept() {
    acceptor_.async_accept([this](const error_code& error, tcp::socket socket) {
      if (error) {
        pause_.expires_after(kAcceptPause);
        return pause_.async_wait([this](const error_code&) { Accept(); });
      }
      if (shared_.open < kConnectionsMax) Begin(std::move(socket));
      Accept();
    });
  }

  void Begin(tcp::socket socket) {
    if (tls_ == nullptr) {
      return std::make_shared<Connection<Tcp>>(shared_, std::move(socket))->Begin();
    }
    // It keeps what it needs of its context.
    SSL* const connection = SSL_new(tls_->Context().get());
    if (connection == nullptr) return;
    std::make_shared<Connection<Tls>>(shared_, std::move(socket), connection)->Begin();
  }

  const std::shared_ptr<const TlsIdentity> tls_;
  Shared shared_;  // outlives the connections, which io_ holds
  asio::io_context io_{1};
  tcp::acceptor acceptor_{io_};
  asio::steady_timer pause_{io_};
  uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(MetricsOptions options) {
  const std::string listen = options.listen;
  const uint16_t port = options.port;
  auto server = std::make_unique<Serving>(std::move(options));
  const absl::Status listening = server->Listen(listen, port);
  if (!listening.ok()) return listening;
  return server;
}

}  // namespace waferstream
