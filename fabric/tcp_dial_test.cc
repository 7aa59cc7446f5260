// How a channel comes to be: dial and Hello, and what a listener is told and survives.
#include "fabric/tcp_dial.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/version.h"
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

// Of a peer that speaks these.
std::string HelloFrame(uint32_t oldest, uint32_t newest) {
  Hello hello = SomeHello();
  hello.set_protocol_version(newest);
  hello.set_protocol_oldest(oldest);
  const std::string payload = hello.SerializeAsString();
  FrameHeader header;
  header.kind = FrameKind::kHello;
  header.epoch = kEpoch;
  header.length = payload.size();
  header.crc = FrameCrc(header, reinterpret_cast<const std::byte*>(payload.data()));
  return Text(Encode(header)) + payload;
}

// A listening end of another release: answers with `hello`, and keeps the frame that comes next.
class OtherRelease {
 public:
  OtherRelease(asio::io_context& io, std::string hello)
      : acceptor_(io, {asio::ip::address_v4::loopback(), 0}), hello_(std::move(hello)) {
    asio::co_spawn(io, Serve(), asio::detached);
  }
  uint16_t port() const { return acceptor_.local_endpoint().port(); }
  const std::optional<HeaderBytes>& frame() const { return frame_; }

 private:
  asio::awaitable<void> Serve() {
    tcp::socket socket = co_await acceptor_.async_accept(asio::use_awaitable);
    co_await asio::async_write(socket, asio::buffer(hello_), asio::use_awaitable);
    HeaderBytes header;
    error_code error;
    for (int frames = 0; frames < 2 && !error; ++frames) {
      co_await asio::async_read(socket, asio::buffer(header),
                                asio::redirect_error(asio::use_awaitable, error));
      const bool is_hello = frames == 0 && !error;
      std::string payload(is_hello ? Decode(header)->length : 0, '\0');
      co_await asio::async_read(socket, asio::buffer(payload),
                                asio::redirect_error(asio::use_awaitable, error));
    }
    if (!error) frame_ = header;
  }

  tcp::acceptor acceptor_;
  const std::string hello_;
  std::optional<HeaderBytes> frame_;
};

TEST_F(TcpTest, WhoHasNoProtocolInCommonIsToldOnBothSides) {
  const uint32_t mine = NewestProtocol();
  Listen();
  SendAndWaitForClose(io_, listener_->port(), HelloFrame(mine + 1, mine + 2));
  EXPECT_THAT(refused_.at(0), HasSubstr(absl::StrCat("the peer speaks protocol ", mine + 1, " to ",
                                                     mine + 2, ", and this node ")));
  EXPECT_THAT(refused_.at(0), HasSubstr("upgrade this node first"));

  // A listener of another release answers with its own Hello: the dialler gives up at once.
  OtherRelease other(io_, HelloFrame(mine + 1, mine + 2));
  auto dial = StartDial(other.port(), SomeHello());
  ASSERT_TRUE(RunUntil(io_, [&] { return dialled_.has_value(); }));
  EXPECT_EQ(dialled_->code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(TcpTest, NeighboursTalkInTheOlderOnesProtocol) {
  for (uint32_t theirs = OldestProtocol(); theirs <= NewestProtocol() + 1; ++theirs) {
    OtherRelease other(io_, HelloFrame(std::max(theirs, 2U) - 1, theirs));
    down_ = End();
    auto dial = StartDial(other.port(), SomeHello());
    ASSERT_TRUE(RunUntil(io_, [&] { return down_.channel != nullptr; })) << theirs;
    down_.channel->Open(down_);
    down_.channel->Grant({.slots = {0, 1}});
    ASSERT_TRUE(RunUntil(io_, [&] { return other.frame().has_value(); })) << theirs;
    EXPECT_EQ(Decode(*other.frame())->protocol, std::min(theirs, NewestProtocol()));
    down_.channel->Close();
    ASSERT_TRUE(RunUntil(io_, [&] { return down_.closed.has_value(); }));
  }
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
