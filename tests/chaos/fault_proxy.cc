#include "tests/chaos/fault_proxy.h"

#include <algorithm>
#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <thread>
#include <utility>

namespace waferstream {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// Everything but ports and thread belongs to the thread.
class FaultProxy::Impl {
 public:
  explicit Impl(uint16_t target_port)
      : target_({asio::ip::address_v4::loopback(), target_port}),
        acceptor_(io_, {asio::ip::address_v4::loopback(), 0}),
        port_(acceptor_.local_endpoint().port()) {
    asio::co_spawn(io_, AcceptAll(), asio::detached);
    thread_ = std::thread([this] { io_.run(); });
  }

  ~Impl() {
    io_.stop();
    thread_.join();
  }

  uint16_t port() const { return port_; }
  uint16_t target_port() const { return target_.port(); }

  template <typename Change>
  void Post(Change change) {
    asio::post(io_, [this, change = std::move(change)] { change(*this); });
  }

  void Cut() {
    for (Link* link : links_) link->Reset();
  }
  void Stall(bool stalled) { stalled_ = stalled; }
  void Swallow(bool to_target, bool from_target) {
    for (Link* link : links_) {
      link->swallows_up |= to_target;
      link->swallows_down |= from_target;
    }
  }
  void Delay(std::chrono::milliseconds delay) { delay_ = delay; }
  void FlipBit(uint64_t random) { flip_ = random; }

 private:
  // Two connections that belong together.
  struct Link {
    explicit Link(asio::io_context& io) : down(io), up(io) {}
    // With a reset rather than in order: that is what a cut looks like.
    void Reset() {
      error_code ignored;
      for (tcp::socket* socket : {&down, &up}) {
        socket->set_option(asio::socket_base::linger(true, 0), ignored);
        socket->close(ignored);
      }
    }
    tcp::socket down;
    tcp::socket up;
    bool swallows_up = false;    // what goes to the target
    bool swallows_down = false;  // what comes from it
  };

  asio::awaitable<void> AcceptAll() {
    for (;;) {
      auto link = std::make_shared<Link>(io_);
      link->down = co_await acceptor_.async_accept(asio::use_awaitable);
      asio::co_spawn(io_, Serve(std::move(link)), asio::detached);
    }
  }

  asio::awaitable<void> Serve(std::shared_ptr<Link> link) {
    error_code error;
    co_await link->up.async_connect(target_, asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return;  // nobody there: the dialler sees its connection close
    for (tcp::socket* socket : {&link->down, &link->up}) {
      socket->set_option(tcp::no_delay(true), error);
    }
    links_.insert(link.get());
    asio::co_spawn(io_, Pass(link, link->down, link->up, link->swallows_up), asio::detached);
    co_await Pass(link, link->up, link->down, link->swallows_down);
    links_.erase(link.get());
  }

  // `link` keeps both sockets alive.
  asio::awaitable<void> Pass([[maybe_unused]] std::shared_ptr<Link> link, tcp::socket& from,
                             tcp::socket& to, const bool& swallows) {
    std::array<std::byte, 16384> bytes;
    error_code error;
    while (!error) {
      const size_t n = co_await from.async_read_some(
          asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, error));
      if (error) break;
      co_await Hold();
      if (swallows) continue;
      if (flip_ && n >= 64) {
        const uint64_t bit = std::exchange(flip_, std::nullopt).value() % (8 * n);
        bytes[bit / 8] ^= std::byte{1} << (bit % 8);
      }
      co_await asio::async_write(to, asio::buffer(bytes.data(), n),
                                 asio::redirect_error(asio::use_awaitable, error));
    }
    if (swallows) co_return;  // the end as well
    error_code ignored;
    from.close(ignored);
    to.close(ignored);
  }

  asio::awaitable<void> Hold() {
    error_code ignored;
    asio::steady_timer timer(io_);
    if (delay_.count() > 0) {
      timer.expires_after(delay_);
      co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    while (stalled_) {
      timer.expires_after(std::chrono::milliseconds(5));
      co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
  }

  asio::io_context io_;
  const tcp::endpoint target_;
  tcp::acceptor acceptor_;
  const uint16_t port_;
  std::set<Link*> links_;
  bool stalled_ = false;
  std::chrono::milliseconds delay_{0};
  std::optional<uint64_t> flip_;
  std::thread thread_;
};

FaultProxy::FaultProxy(uint16_t target_port) : impl_(std::make_unique<Impl>(target_port)) {}
FaultProxy::~FaultProxy() = default;

uint16_t FaultProxy::port() const { return impl_->port(); }
uint16_t FaultProxy::target_port() const { return impl_->target_port(); }

void FaultProxy::Cut() {
  impl_->Post([](Impl& impl) { impl.Cut(); });
}
void FaultProxy::Stall(bool stalled) {
  impl_->Post([=](Impl& impl) { impl.Stall(stalled); });
}
void FaultProxy::Swallow(bool to_target, bool from_target) {
  impl_->Post([=](Impl& impl) { impl.Swallow(to_target, from_target); });
}
void FaultProxy::Delay(absl::Duration delay) {
  impl_->Post([=](Impl& impl) { impl.Delay(absl::ToChronoMilliseconds(delay)); });
}
void FaultProxy::FlipBit(uint64_t random) {
  impl_->Post([=](Impl& impl) { impl.FlipBit(random); });
}

}  // namespace waferstream
