// Frames, credits and ends of a channel that stands, and bits flipped on the way.
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

#include "base/version.h"
#include "fabric/frame.h"
#include "fabric/tcp_fixture.h"

namespace waferstream {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

TEST_F(TcpTest, FramesArriveInOrderAndWhole) {
  Listen();
  OpenChannel();
  up_.payloads = RandomPayloads({0, 1, 5 << 20, 64, 4096, 1 << 20, 0, 3});
  down_.grant_after_frame = true;
  down_.channel->Grant({.slots = {0, 2}});
  ASSERT_TRUE(RunUntil(io_, [&] { return down_.frames.size() == 8 && up_.sent.size() == 8; }));
  for (size_t i = 0; i < up_.payloads.size(); ++i) {
    EXPECT_EQ(down_.frames[i].header.tile, i);
    EXPECT_EQ(down_.frames[i].payload, up_.payloads[i]);
  }
  EXPECT_THAT(up_.sent, UnorderedElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
}

TEST_F(TcpTest, BothDirectionsAtOnce) {
  Listen();
  OpenChannel();
  up_.payloads = down_.payloads = RandomPayloads({2 << 20, 2 << 20, 2 << 20, 2 << 20});
  up_.grant_after_frame = down_.grant_after_frame = true;
  down_.channel->Grant({.slots = {0, 1}});
  up_.channel->Grant({.slots = {0, 1}});
  ASSERT_TRUE(RunUntil(io_, [&] { return down_.frames.size() == 4 && up_.frames.size() == 4; }));
  EXPECT_EQ(up_.frames[3].payload, down_.frames[3].payload);
}

TEST_F(TcpTest, CreditsKeepTheirClassAndAddUp) {
  Listen();
  OpenChannel();
  down_.channel->Grant({.slots = {1, 0}});
  down_.channel->Grant({.slots = {0, 2}});
  down_.channel->Grant({.slots = {1, 0}});
  ASSERT_TRUE(RunUntil(
      io_, [&] { return up_.credits.slots[kSmall] == 2 && up_.credits.slots[kLarge] == 2; }));
}

// More bytes than any socket buffer holds wait at the sender until the receiver reads.
TEST_F(TcpTest, ASlowReaderStallsTheSenderAndLosesNothing) {
  Listen();
  auto dial = StartDial(listener_->port(), SomeHello());
  ASSERT_TRUE(RunUntil(io_, [&] { return down_.channel && up_.channel; }));
  up_.channel->Open(up_);
  up_.payloads = RandomPayloads({16 << 20, 16 << 20, 16 << 20});
  down_.channel->Grant({.slots = {0, 3}});
  ASSERT_TRUE(RunUntil(io_, [&] { return up_.next == 3; }));
  while (io_.poll_one() > 0) continue;
  EXPECT_LT(up_.sent.size(), 3u);
  down_.channel->Open(down_);
  ASSERT_TRUE(RunUntil(io_, [&] { return down_.frames.size() == 3; }));
  EXPECT_EQ(down_.frames[2].payload, up_.payloads[2]);
}

TEST_F(TcpTest, GrantBeyondTheWindowTearsTheChannelDown) {
  Listen();
  OpenChannel();
  down_.channel->Grant({.slots = {0, 2 * slots_ + 1}});
  ASSERT_TRUE(RunUntil(io_, [&] { return up_.closed && down_.closed; }));
  EXPECT_THAT(std::string(up_.closed->message()), HasSubstr("granted 9 slots beyond its window"));
  EXPECT_EQ(up_.credits.slots[kLarge], 0);
}

TEST_F(TcpTest, AnotherEpochsFrameTearsTheChannelDown) {
  Listen();
  OpenChannel();
  down_.channel->Grant({.slots = {0, 1}});
  ASSERT_TRUE(RunUntil(io_, [&] { return up_.credits.slots[kLarge] == 1; }));
  FrameHeader stale;
  stale.epoch = kEpoch - 1;
  up_.channel->Send(stale, nullptr, 0, false);
  ASSERT_TRUE(RunUntil(io_, [&] { return down_.closed.has_value(); }));
  EXPECT_THAT(std::string(down_.closed->message()), HasSubstr("epoch 6 on a channel of epoch 7"));
}

TEST_F(TcpTest, HandlersErrorClosesWithIt) {
  Listen();
  OpenChannel();
  up_.payloads = RandomPayloads({8, 8});
  down_.frame_status = absl::InvalidArgumentError("tile 0 is not due");
  down_.channel->Grant({.slots = {0, 2}});
  ASSERT_TRUE(RunUntil(io_, [&] { return up_.closed && down_.closed; }));
  EXPECT_EQ(down_.closed->message(), "tile 0 is not due");
  EXPECT_EQ(up_.closed->code(), absl::StatusCode::kAborted);
  EXPECT_THAT(down_.frames, SizeIs(1));
}

TEST_F(TcpTest, CloseIsQuietHereAndSeenThere) {
  Listen();
  OpenChannel();
  down_.channel->Close();
  ASSERT_TRUE(RunUntil(io_, [&] { return up_.closed && down_.closed; }));
  EXPECT_TRUE(down_.closed->ok());
  EXPECT_EQ(*up_.closed, absl::AbortedError("closed by the peer"));
}

// -- bits flipped in flight ----------------------------------------------------------------------

// Passes bytes on between two sockets; flips one bit of byte `flip_at` of what the listener sends.
class FlippingProxy {
 public:
  FlippingProxy(asio::io_context& io, uint16_t to, size_t flip_at)
      : acceptor_(io, {asio::ip::address_v4::loopback(), 0}),
        dialler_(io),
        listener_(io),
        to_(to),
        flip_at_(flip_at) {
    asio::co_spawn(io, Run(), asio::detached);
  }
  uint16_t port() const { return acceptor_.local_endpoint().port(); }

 private:
  asio::awaitable<void> Run() {
    dialler_ = co_await acceptor_.async_accept(asio::use_awaitable);
    co_await listener_.async_connect({asio::ip::address_v4::loopback(), to_}, asio::use_awaitable);
    asio::co_spawn(acceptor_.get_executor(), Pass(dialler_, listener_, false), asio::detached);
    co_await Pass(listener_, dialler_, true);
  }

  asio::awaitable<void> Pass(tcp::socket& from, tcp::socket& to, bool flip) {
    std::array<char, 4096> bytes;
    error_code error;
    for (size_t at = 0; !error;) {
      const size_t n = co_await from.async_read_some(
          asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, error));
      if (flip && flip_at_ >= at && flip_at_ < at + n) bytes[flip_at_ - at] ^= 0x10;
      at += n;
      if (error) break;
      co_await asio::async_write(to, asio::buffer(bytes.data(), n),
                                 asio::redirect_error(asio::use_awaitable, error));
    }
    error_code ignored;
    from.close(ignored);
    to.close(ignored);
  }

  tcp::acceptor acceptor_;
  tcp::socket dialler_;
  tcp::socket listener_;
  const uint16_t to_;
  const size_t flip_at_;
};

TEST_F(TcpTest, ABitFlippedInFlightTearsTheChannelDown) {
  Listen();
  // The listener's Hello answer is a header and its Hello message; then come the frames.
  Hello answer = SomeHello();
  answer.set_node_id("listener");
  answer.set_protocol_version(NewestProtocol());
  answer.set_protocol_oldest(OldestProtocol());
  const size_t first = kFrameHeaderBytes + answer.ByteSizeLong();
  FlippingProxy proxy(io_, listener_->port(), first + kFrameHeaderBytes + 1000);
  OpenChannel(proxy.port());
  up_.payloads = RandomPayloads({2000, 10});
  down_.channel->Grant({.slots = {0, 2}});
  ASSERT_TRUE(RunUntil(io_, [&] { return up_.closed && down_.closed; }));
  EXPECT_EQ(down_.closed->code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(down_.closed->message()), HasSubstr("checksum mismatch in tile 0"));
  EXPECT_THAT(down_.frames, SizeIs(0));
}

// Any byte of a frame's header, and some of its payload: the frame is never taken.
class FlippedByte : public TcpTest, public ::testing::WithParamInterface<size_t> {};

TEST_P(FlippedByte, IsNeverDelivered) {
  Listen();
  Hello answer = SomeHello();
  answer.set_node_id("listener");
  answer.set_protocol_version(NewestProtocol());
  answer.set_protocol_oldest(OldestProtocol());
  FlippingProxy proxy(io_, listener_->port(),
                      kFrameHeaderBytes + answer.ByteSizeLong() + GetParam());
  OpenChannel(proxy.port());
  up_.payloads = RandomPayloads({100});
  down_.channel->Grant({.slots = {0, 1}});
  // A length that grew makes the receiver wait for bytes that never come; the lease ends that.
  RunUntil(io_, [&] { return up_.sent.size() == 1; });
  up_.channel->Close();
  ASSERT_TRUE(RunUntil(io_, [&] { return down_.closed.has_value(); }));
  EXPECT_FALSE(down_.closed->ok());
  EXPECT_THAT(down_.frames, SizeIs(0));
}

INSTANTIATE_TEST_SUITE_P(Header, FlippedByte, ::testing::Range(size_t{0}, kFrameHeaderBytes, 3));
INSTANTIATE_TEST_SUITE_P(Payload, FlippedByte, ::testing::Values(64, 163));

}  // namespace
}  // namespace waferstream
