// Links that break without a word: they swallow packets, or take bytes and pass none on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "base/version.h"
#include "fabric/frame.h"
#include "fabric/tcp_fixture.h"
#include "fabric/tcp_hello.h"
#include "fabric/tcp_liveness.h"
#include "fabric/test_network.h"

namespace waferstream {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using ::testing::SizeIs;

// -- links that swallow packets ------------------------------------------------------------------

// A peer in the test's hands: it answers a Hello with the same Hello, and grants slots if told to.
class MutePeerTest : public TcpTest {
 protected:
  void SetUp() override {
    if (!own_network_.ok()) GTEST_SKIP() << own_network_;
  }

  // A channel whose down end is `down_` and whose up end is `peer_`.
  void Dial() {
    tcp::acceptor acceptor(io_, {asio::ip::address_v4::loopback(), 0});
    asio::co_spawn(
        io_,
        [&]() -> asio::awaitable<void> {
          peer_ = co_await acceptor.async_accept(asio::use_awaitable);
          co_await EchoHello();
        },
        asio::detached);
    auto dial = StartDial(acceptor.local_endpoint().port(), SomeHello());
    ASSERT_TRUE(RunUntil(io_, [&] { return down_.channel != nullptr; }));
    down_.channel->Open(down_);
  }

  // A channel whose up end is `up_` and whose down end is `peer_`.
  void BeDialled() {
    Listen();
    peer_.connect({asio::ip::address_v4::loopback(), listener_->port()});
    Hello hello = SomeHello();
    hello.set_protocol_version(NewestProtocol());
    hello.set_node_id("peer");
    asio::write(peer_, asio::buffer(Frame(FrameKind::kHello, hello.SerializeAsString(), 0)));
    ASSERT_TRUE(RunUntil(io_, [&] { return up_.channel != nullptr; }));
    up_.channel->Open(up_);
  }

  std::string Frame(FrameKind kind, const std::string& payload, uint64_t sequence, int grant = 0) {
    FrameHeader header;
    header.kind = kind;
    header.epoch = kEpoch;
    header.sequence = sequence;
    header.tile = static_cast<uint32_t>(grant);
    header.length = payload.size();
    header.crc = FrameCrc(header, reinterpret_cast<const std::byte*>(payload.data()));
    const HeaderBytes bytes = Encode(header);
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()) + payload;
  }

  const absl::Status own_network_ = EnterOwnNetwork();
  tcp::socket peer_{io_};

 private:
  asio::awaitable<void> EchoHello() {
    std::array<char, kFrameHeaderBytes + 4096> bytes;
    const size_t n = co_await peer_.async_read_some(asio::buffer(bytes), asio::use_awaitable);
    co_await asio::async_write(peer_, asio::buffer(bytes.data(), n), asio::use_awaitable);
  }
};

TEST_F(MutePeerTest, AnIdleChannelBreaksAtTheDialler) {
  Dial();
  ASSERT_EQ(MuteSocket(peer_.native_handle()), absl::OkStatus());
  ASSERT_TRUE(RunUntil(io_, [&] { return down_.closed.has_value(); }));
  EXPECT_EQ(*down_.closed, absl::UnavailableError("Connection timed out"));
}

TEST_F(MutePeerTest, AnIdleChannelBreaksAtTheListener) {
  BeDialled();
  ASSERT_EQ(MuteSocket(peer_.native_handle()), absl::OkStatus());
  ASSERT_TRUE(RunUntil(io_, [&] { return up_.closed.has_value(); }));
  EXPECT_EQ(*up_.closed, absl::UnavailableError("Connection timed out"));
}

TEST_F(MutePeerTest, ABusyChannelBreaks) {
  BeDialled();
  up_.payloads = RandomPayloads({16 << 20});
  asio::write(peer_, asio::buffer(Frame(FrameKind::kCredit, "", 1, 1)));
  ASSERT_TRUE(RunUntil(io_, [&] { return up_.next == 1; }));
  ASSERT_EQ(MuteSocket(peer_.native_handle()), absl::OkStatus());
  ASSERT_TRUE(RunUntil(io_, [&] { return up_.closed.has_value(); }));
  EXPECT_EQ(*up_.closed, absl::UnavailableError("Connection timed out"));
  EXPECT_THAT(up_.sent, SizeIs(0));
}

// A peer that lives answers the probes for as long as it is idle.
TEST_F(MutePeerTest, AnIdleChannelToAPeerThatAnswersStays) {
  Dial();
  const absl::Time until = absl::Now() + 2 * kTcpDeadAfter;
  ASSERT_TRUE(RunUntil(io_, [&] { return down_.closed || absl::Now() > until; }));
  EXPECT_FALSE(down_.closed) << *down_.closed;
}

// -- links that take bytes and pass none on ------------------------------------------------------

// Between the two ends: acknowledges all that comes, and passes on what it is told to.
class Middlebox {
 public:
  Middlebox(asio::io_context& io, uint16_t target)
      : target_({asio::ip::address_v4::loopback(), target}),
        acceptor_(io, {asio::ip::address_v4::loopback(), 0}),
        down_(io),
        up_(io) {
    asio::co_spawn(io, Serve(), asio::detached);
  }
  uint16_t port() const { return acceptor_.local_endpoint().port(); }

  bool passes_up = true;    // what the dialler sends
  bool passes_down = true;  // what the listener sends
  // So many bytes a read, with a pause behind each: a link that is slow.
  size_t piece_bytes = 65536;
  std::chrono::milliseconds pause{0};

 private:
  asio::awaitable<void> Serve() {
    error_code error;
    co_await acceptor_.async_accept(down_, asio::redirect_error(asio::use_awaitable, error));
    co_await up_.async_connect(target_, asio::redirect_error(asio::use_awaitable, error));
    asio::co_spawn(acceptor_.get_executor(), Pass(down_, up_, passes_up), asio::detached);
    co_await Pass(up_, down_, passes_down);
  }
  asio::awaitable<void> Pass(tcp::socket& from, tcp::socket& to, const bool& passes) {
    std::array<std::byte, 65536> bytes;
    error_code error;
    asio::steady_timer timer(acceptor_.get_executor());
    while (!error) {
      const size_t n =
          co_await from.async_read_some(asio::buffer(bytes.data(), piece_bytes),
                                        asio::redirect_error(asio::use_awaitable, error));
      if (error) break;
      if (pause.count() > 0) {
        timer.expires_after(pause);
        co_await timer.async_wait(asio::use_awaitable);
      }
      if (!passes) continue;
      co_await asio::async_write(to, asio::buffer(bytes.data(), n),
                                 asio::redirect_error(asio::use_awaitable, error));
    }
    if (passes) to.close(error);  // a box that swallows also swallows the end
  }

  const tcp::endpoint target_;
  tcp::acceptor acceptor_;
  tcp::socket down_;
  tcp::socket up_;
};

class MiddleboxTest : public TcpTest {
 protected:
  MiddleboxTest() { alive_every_ = absl::Milliseconds(100); }

  void OpenThroughBox() {
    Listen();
    box_ = std::make_unique<Middlebox>(io_, listener_->port());
    OpenChannel(box_->port());
  }
  void ExpectSilence(const End& end) {
    ASSERT_TRUE(RunUntil(io_, [&] { return end.closed.has_value(); }));
    EXPECT_EQ(*end.closed, absl::UnavailableError(
                               "the connection stands, but nothing has come through it for 500ms"));
  }

  std::unique_ptr<Middlebox> box_;
};

// The other one hears of it, because its direction works.
TEST_F(MiddleboxTest, TheListenerBreaksWhenNothingComesToIt) {
  OpenThroughBox();
  box_->passes_up = false;
  ExpectSilence(up_);
  ASSERT_TRUE(RunUntil(io_, [&] { return down_.closed.has_value(); }));
  EXPECT_EQ(*down_.closed, absl::AbortedError("closed by the peer"));
}

TEST_F(MiddleboxTest, TheDiallerBreaksWhenNothingComesToIt) {
  OpenThroughBox();
  box_->passes_down = false;
  ExpectSilence(down_);
  ASSERT_TRUE(RunUntil(io_, [&] { return up_.closed.has_value(); }));
  EXPECT_EQ(*up_.closed, absl::AbortedError("closed by the peer"));
}

TEST_F(MiddleboxTest, BothEndsBreakWhenNothingPassesAtAll) {
  OpenThroughBox();
  box_->passes_up = box_->passes_down = false;
  ExpectSilence(up_);
  ExpectSilence(down_);
}

// However much is on its way: what was acknowledged did not arrive.
TEST_F(MiddleboxTest, ABusyChannelBreaks) {
  OpenThroughBox();
  up_.payloads = RandomPayloads({4 << 20, 4 << 20});
  box_->passes_down = false;
  down_.channel->Grant({.slots = {0, 2}});
  ExpectSilence(down_);
  EXPECT_THAT(down_.frames, SizeIs(0));
}

TEST_F(MiddleboxTest, IdleEndsThatHearOneAnotherStay) {
  OpenThroughBox();
  const absl::Time until = absl::Now() + 2 * kSilentBeats * alive_every_;
  ASSERT_TRUE(RunUntil(io_, [&] { return down_.closed || up_.closed || absl::Now() > until; }));
  EXPECT_FALSE(down_.closed || up_.closed);
}

// A frame that takes longer than the limit: bytes are progress.
TEST_F(MiddleboxTest, ASlowLinkIsNotASilentOne) {
  OpenThroughBox();
  box_->piece_bytes = 16384;
  box_->pause = std::chrono::milliseconds(20);
  up_.payloads = RandomPayloads({1 << 20});
  down_.channel->Grant({.slots = {0, 1}});
  const absl::Time begin = absl::Now();
  ASSERT_TRUE(RunUntil(io_, [&] { return !down_.frames.empty() || down_.closed; }));
  EXPECT_FALSE(down_.closed) << *down_.closed;
  EXPECT_GT(absl::Now() - begin, kSilentBeats * alive_every_);
  EXPECT_EQ(down_.frames.at(0).payload, up_.payloads[0]);
}

// One end may be opened long before the other.
TEST_F(MiddleboxTest, AnEndThatIsNotOpenYetSaysThatItLives) {
  Listen();
  auto dial = StartDial(listener_->port(), SomeHello());
  ASSERT_TRUE(RunUntil(io_, [&] { return down_.channel && up_.channel; }));
  down_.channel->Open(down_);
  const absl::Time until = absl::Now() + 2 * kSilentBeats * alive_every_;
  ASSERT_TRUE(RunUntil(io_, [&] { return down_.closed || absl::Now() > until; }));
  EXPECT_FALSE(down_.closed) << *down_.closed;
  up_.channel->Open(up_);
}

}  // namespace
}  // namespace waferstream
