// How a channel comes to be: dial and Hello, and what a listener is told and survives.
#include "fabric/tcp_dial.h"

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
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "fabric/frame.h"
#include "fabric/tcp_fixture.h"
#include "fabric/tcp_listener.h"

namespace waferstream {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST_F(TcpTest, StaleEpochAndForeignPlanAreRefusedAndTheDiallerSaysSo) {
  Listen();
  Hello hello = SomeHello();
  hello.set_epoch(kEpoch - 1);
  auto stale = StartDial(listener_->port(), hello, absl::Milliseconds(200));
  ASSERT_TRUE(RunUntil(io_, [&] { return dialled_.has_value(); }));
  EXPECT_EQ(dialled_->code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(dialled_->message()), HasSubstr("closed by the peer"));
  EXPECT_THAT(refused_.at(0), HasSubstr("epoch is not prepared here"));
  EXPECT_GT(refused_.size(), 1u) << "the dialler tries again";

  dialled_.reset();
  refused_.clear();
  hello = SomeHello();
  hello.set_plan_hash(99);
  auto foreign = StartDial(listener_->port(), hello, absl::Milliseconds(200));
  ASSERT_TRUE(RunUntil(io_, [&] { return dialled_.has_value(); }));
  EXPECT_FALSE(dialled_->ok());
  EXPECT_THAT(refused_.at(0), HasSubstr("another plan"));
}

TEST_F(TcpTest, DialSucceedsOnceThePeerListens) {
  Listen();
  const uint16_t port = listener_->port();
  listener_.reset();
  auto dial = StartDial(port, SomeHello());
  Listen({.port = port});
  ASSERT_TRUE(RunUntil(io_, [&] { return dialled_.has_value() && up_.channel; }));
  ASSERT_TRUE(dialled_->ok()) << *dialled_;
  up_.channel->Open(up_);
  down_.channel->Open(down_);
}

TEST_F(TcpTest, CancelledDialEndsAtOnce) {
  Listen();
  Hello hello = SomeHello();
  hello.set_epoch(kEpoch + 1);
  auto dial = StartDial(listener_->port(), hello);
  ASSERT_TRUE(RunUntil(io_, [&] { return !refused_.empty(); }));
  dial->Cancel();
  ASSERT_TRUE(RunUntil(io_, [&] { return dialled_.has_value(); }));
  EXPECT_EQ(dialled_->code(), absl::StatusCode::kCancelled);
}

TEST_F(TcpTest, PortInUseIsOneLineWithThePort) {
  Listen();
  const auto second = TcpListener::Create(io_, {.port = listener_->port()}, *this);
  EXPECT_EQ(second.status().message(),
            absl::StrCat("fabric port ", listener_->port(), ": cannot listen on 127.0.0.1:",
                         listener_->port(), ": Address already in use"));
}

TEST_F(TcpTest, AnAddressThatIsNotOfThisHostIsNamed) {
  // 192.0.2.1 is set aside for documentation.
  const auto listener = TcpListener::Create(io_, {.listen = "192.0.2.1"}, *this);
  EXPECT_THAT(std::string(listener.status().message()),
              HasSubstr("cannot listen on 192.0.2.1:0: "));
}

// On most hosts localhost stands for an address of each family, and nobody listens on the first.
TEST_F(TcpTest, EitherFamilyAndANameAreReached) {
  const std::pair<const char*, const char*> cases[] = {
      {"127.0.0.1", "127.0.0.1"}, {"127.0.0.1", "localhost"}, {"::1", "::1"}};
  for (const auto& [listen, host] : cases) {
    Listen({.listen = listen});
    auto dial = StartDial(listener_->port(), SomeHello(), absl::Seconds(10), host);
    ASSERT_TRUE(RunUntil(io_, [&] { return down_.channel && up_.channel; }))
        << host << ": " << dialled_.value_or(absl::OkStatus());
    down_.channel = up_.channel = nullptr;
  }
}

// Connects, sends `bytes` and waits until the other end closes.
void SendAndWaitForClose(asio::io_context& io, uint16_t port, const std::string& bytes) {
  tcp::socket socket(io);
  socket.connect({asio::ip::address_v4::loopback(), port});
  asio::write(socket, asio::buffer(bytes));
  bool closed = false;
  std::array<char, 256> answer;
  auto read = [&]() -> asio::awaitable<void> {
    error_code error;
    while (!error) {
      co_await socket.async_read_some(asio::buffer(answer),
                                      asio::redirect_error(asio::use_awaitable, error));
    }
    closed = true;
  };
  asio::co_spawn(io, read, asio::detached);
  ASSERT_TRUE(RunUntil(io, [&] { return closed; }));
}

std::string Text(const HeaderBytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST_F(TcpTest, GarbageCostsTheStrangerItsConnectionOnly) {
  Listen({.hello_timeout = absl::Milliseconds(100)});
  SendAndWaitForClose(io_, listener_->port(),
                      "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: a browser, lost\r\n\r\n");
  EXPECT_THAT(refused_.at(0), HasSubstr("not a WaferStream frame: magic 20544547"));

  SendAndWaitForClose(io_, listener_->port(), "short");
  EXPECT_THAT(refused_.at(1), HasSubstr("no Hello within 100ms"));

  FrameHeader header;
  header.kind = FrameKind::kHello;
  header.length = uint64_t{1} << 40;
  SendAndWaitForClose(io_, listener_->port(), Text(Encode(header)));
  EXPECT_THAT(refused_.at(2), HasSubstr("a Hello of 1099511627776 bytes; at most 4096"));

  header.kind = FrameKind::kTile;
  SendAndWaitForClose(io_, listener_->port(), Text(Encode(header)));
  EXPECT_THAT(refused_.at(3), HasSubstr("expected a Hello first, got tile 0"));

  EXPECT_THAT(refused_, SizeIs(4)) << "one line each";
  OpenChannel();  // still in business
}

TEST_F(TcpTest, AnotherProtocolVersionIsNamedOnBothSides) {
  Listen();
  FrameHeader header;
  header.kind = FrameKind::kHello;
  HeaderBytes bytes = Encode(header);
  bytes[4] = std::byte{2};
  SendAndWaitForClose(io_, listener_->port(), Text(bytes));
  EXPECT_THAT(refused_.at(0), HasSubstr("version 2, this build speaks 1"));

  // A listener of another version answers with its own Hello: the dialler gives up at once.
  tcp::acceptor other(io_, {asio::ip::address_v4::loopback(), 0});
  auto serve = [&]() -> asio::awaitable<void> {
    tcp::socket socket = co_await other.async_accept(asio::use_awaitable);
    const std::string answer = Text(bytes);
    co_await asio::async_write(socket, asio::buffer(answer), asio::use_awaitable);
  };
  asio::co_spawn(io_, serve, asio::detached);
  auto dial = StartDial(other.local_endpoint().port(), SomeHello());
  ASSERT_TRUE(RunUntil(io_, [&] { return dialled_.has_value(); }));
  EXPECT_EQ(dialled_->code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(TcpTest, HalfOpenConnectionsAreBounded) {
  Listen({.half_open_max = 2});
  std::vector<tcp::socket> silent;
  for (int i = 0; i < 5; ++i) {
    silent.emplace_back(io_);
    silent.back().connect({asio::ip::address_v4::loopback(), listener_->port()});
  }
  ASSERT_TRUE(RunUntil(io_, [&] { return refused_.size() == 3; }));
  EXPECT_THAT(refused_[0], HasSubstr("no Hello before 2 others came"));
}

// Silent connections keep nobody out who has something to say.
TEST_F(TcpTest, WhoSaysHelloGetsPastThoseWhoDoNot) {
  Listen({.half_open_max = 2});
  std::vector<tcp::socket> silent;
  for (int i = 0; i < 2; ++i) {
    silent.emplace_back(io_);
    silent.back().connect({asio::ip::address_v4::loopback(), listener_->port()});
  }
  OpenChannel();
  EXPECT_THAT(refused_, SizeIs(1));
}

}  // namespace
}  // namespace waferstream
