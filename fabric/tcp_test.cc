// The tcp adapter on the loopback interface: both ends on one io_context, driven by the test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/credentials.h"
#include "fabric/hello_proof.h"
#include "fabric/tcp_dial.h"
#include "fabric/tcp_hello.h"
#include "fabric/tcp_listener.h"
#include "fabric/test_network.h"

namespace waferstream {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr uint32_t kEpoch = 7;

// Runs the executor until `condition` holds; fails the test after ten seconds.
template <typename Condition>
bool RunUntil(asio::io_context& io, Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    io.restart();
    io.run_one_for(std::chrono::milliseconds(50));
  }
  return true;
}

// One end's user: takes every frame and remembers it.
class End : public ChannelHandler {
 public:
  struct Got {
    FrameHeader header;
    std::vector<std::byte> payload;
  };

  absl::StatusOr<std::span<std::byte>> BufferFor(const FrameHeader& header) override {
    if (header.length > size_t{64} << 20) return absl::InvalidArgumentError("too long");
    buffer_.resize(header.length);
    return std::span<std::byte>(buffer_);
  }
  absl::Status OnFrame(const FrameHeader& header) override {
    frames.push_back({header, buffer_});
    if (grant_after_frame) channel->Grant({.slots = {0, 1}});
    return frame_status;
  }
  void OnCredit(const Credit& credit) override {
    for (int c = 0; c < kSlotClasses; ++c) credits.slots[c] += credit.slots[c];
    SendWhatMaySend();
  }
  void OnSent(uint64_t token) override { sent.push_back(token); }
  void OnClosed(const absl::Status& why) override { closed = why; }

  // Sends `payloads` one by one, as slots of the large class allow.
  void SendWhatMaySend() {
    while (next < payloads.size() && static_cast<int>(next) < credits.slots[kLarge]) {
      FrameHeader header;
      header.kind = FrameKind::kTile;
      header.epoch = kEpoch;
      header.tile = static_cast<uint32_t>(next);
      header.length = payloads[next].size();
      channel->Send(header, payloads[next].data(), next);
      ++next;
    }
  }

  std::shared_ptr<ChannelEnd> channel;
  std::vector<std::vector<std::byte>> payloads;  // to send
  size_t next = 0;
  bool grant_after_frame = false;
  absl::Status frame_status;  // what OnFrame answers
  std::vector<Got> frames;
  Credit credits;
  std::vector<uint64_t> sent;
  std::optional<absl::Status> closed;

 private:
  std::vector<std::byte> buffer_;
};

std::vector<std::vector<std::byte>> RandomPayloads(std::initializer_list<size_t> sizes) {
  std::mt19937 random(1);
  std::vector<std::vector<std::byte>> payloads;
  for (const size_t size : sizes) {
    payloads.emplace_back(size);
    for (std::byte& byte : payloads.back()) byte = static_cast<std::byte>(random());
  }
  return payloads;
}

Hello SomeHello() {
  Hello hello;
  hello.set_job_id("job-1");
  hello.set_epoch(kEpoch);
  hello.set_plan_hash(0x1234);
  hello.set_channel(3);
  hello.set_node_id("dialler");
  return hello;
}

class TcpTest : public ::testing::Test, public AcceptHandler {
 protected:
  // -- the listening node
  absl::StatusOr<ChannelTerms> Admit(const Hello& theirs) override {
    if (theirs.epoch() != kEpoch) return absl::NotFoundError("epoch is not prepared here");
    if (theirs.plan_hash() != 0x1234) return absl::FailedPreconditionError("another plan");
    return ChannelTerms{.epoch = kEpoch, .peer_window = {{slots_, 0}}};
  }
  void OnChannel(const Hello&, std::shared_ptr<ChannelEnd> channel) override {
    up_.channel = std::move(channel);
  }
  void OnRefused(const std::string& line) override { refused_.push_back(line); }

  void Listen(TcpListenerOptions options = {}) {
    options.node_id = "listener";
    options.alive_every = alive_every_;
    auto listener = TcpListener::Create(io_, options, *this);
    ASSERT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
  }

  // -- the dialling node
  std::shared_ptr<TcpDial> StartDial(uint16_t port, const Hello& hello,
                                     absl::Duration timeout = absl::Seconds(10),
                                     const std::string& host = "127.0.0.1") {
    DialTarget target{.host = host,
                      .port = port,
                      .hello = hello,
                      .terms = {.epoch = kEpoch, .peer_window = {{slots_, 0}}},
                      .timeout = timeout,
                      .credentials = credentials_,
                      .alive_every = alive_every_};
    return TcpDial::Start(io_, target, [this](absl::StatusOr<std::shared_ptr<ChannelEnd>> channel) {
      dialled_ = channel.status();
      if (channel.ok()) down_.channel = *channel;
    });
  }

  // Opens a channel, over `port` if that is a proxy's.
  void OpenChannel(uint16_t port = 0) {
    if (port == 0) port = listener_->port();
    auto dial = StartDial(port, SomeHello());
    ASSERT_TRUE(RunUntil(io_, [&] { return down_.channel && up_.channel; }));
    up_.channel->Open(up_);
    down_.channel->Open(down_);
  }

  // Ends what is still open: handlers must outlive their channels.
  void TearDown() override {
    listener_.reset();
    for (End* end : {&up_, &down_}) {
      if (end->channel) end->channel->Close();
    }
    EXPECT_TRUE(RunUntil(
        io_, [this] { return (!up_.channel || up_.closed) && (!down_.channel || down_.closed); }));
  }

  asio::io_context io_;
  Credentials credentials_;  // of who dials
  int slots_ = 4;
  absl::Duration alive_every_ = kAliveEvery;
  std::unique_ptr<TcpListener> listener_;
  End up_;
  End down_;
  std::optional<absl::Status> dialled_;
  std::vector<std::string> refused_;
};

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
  EXPECT_THAT(up_.sent, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
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
  up_.channel->Send(stale, nullptr, 0);
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
    hello.set_protocol_version(kProtocolVersion);
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

// -- what the listener is told and survives ----------------------------------------------------

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

// -- the cluster's secret ------------------------------------------------------------------------

Credentials SecretOf(int seed) {
  std::array<std::byte, ClusterSecret::kBytes> key = {};
  key[0] = static_cast<std::byte>(seed);
  return {.secret = std::make_shared<const ClusterSecret>(key)};
}

class SecretTest : public TcpTest {
 protected:
  // Dials until the listener has refused once; the dial's last reason.
  std::string Refusal() {
    refused_.clear();
    dialled_.reset();
    auto dial = StartDial(listener_->port(), SomeHello(), absl::Milliseconds(300));
    EXPECT_TRUE(RunUntil(io_, [&] { return dialled_.has_value(); }));
    EXPECT_EQ(up_.channel, nullptr);
    return std::string(dialled_.value_or(absl::OkStatus()).message());
  }

  // A dialler in the test's hands says `hello` after it was greeted; the listener's line.
  std::string Say(Hello hello, const std::function<void(Hello&, const std::string& nonce)>& sign) {
    tcp::socket socket(io_);
    socket.connect({asio::ip::address_v4::loopback(), listener_->port()});
    bool closed = false;
    refused_.clear();
    auto talk = [&]() -> asio::awaitable<void> {
      const Hello greeting = *co_await ReadHello(socket);
      sign(hello, greeting.nonce());
      (void)co_await WriteHello(socket, hello);
      closed = !(co_await ReadHello(socket)).ok();
    };
    asio::co_spawn(io_, talk, asio::detached);
    EXPECT_TRUE(RunUntil(io_, [&] { return closed && !refused_.empty(); }));
    return refused_.empty() ? "" : refused_[0];
  }
};

TEST_F(SecretTest, WhoKnowsItOpensAChannel) {
  Listen({.credentials = SecretOf(1)});
  credentials_ = SecretOf(1);
  OpenChannel();
  up_.payloads = RandomPayloads({64});
  down_.channel->Grant({.slots = {0, 1}});
  ASSERT_TRUE(RunUntil(io_, [&] { return down_.frames.size() == 1; }));
}

TEST_F(SecretTest, WhoDoesNotIsClosedWithOneLine) {
  Listen({.credentials = SecretOf(1)});
  for (const Credentials& theirs : {Credentials(), SecretOf(2)}) {
    credentials_ = theirs;
    Refusal();
    ASSERT_FALSE(refused_.empty());
    EXPECT_THAT(refused_[0], HasSubstr("denied: no proof of the cluster's secret"));
  }
}

TEST_F(SecretTest, AListenerThatDoesNotIsLeft) {
  Listen({.credentials = SecretOf(2)});
  credentials_ = SecretOf(1);
  Refusal();
  // One that lets everybody in and answers all that it hears.
  tcp::acceptor liar(io_, {asio::ip::address_v4::loopback(), 0});
  auto serve = [&]() -> asio::awaitable<void> {
    tcp::socket socket = co_await liar.async_accept(asio::use_awaitable);
    Hello greeting;
    greeting.set_nonce("n");
    (void)co_await WriteHello(socket, greeting);
    (void)co_await WriteHello(socket, *co_await ReadHello(socket));
    (void)co_await ReadHello(socket);
  };
  asio::co_spawn(io_, serve, asio::detached);
  dialled_.reset();
  auto dial = StartDial(liar.local_endpoint().port(), SomeHello(), absl::Milliseconds(10));
  ASSERT_TRUE(RunUntil(io_, [&] { return dialled_.has_value(); }));
  EXPECT_THAT(std::string(dialled_->message()), HasSubstr("does not know the cluster's secret"));
}

TEST_F(SecretTest, AProofHoldsForOneConnectionOnePortAndAllThatIsSaid) {
  const Credentials ours = SecretOf(1);
  const auto sign = [&](Hello& hello, const std::string& nonce) {
    hello.set_nonce("mine");
    hello.set_port(listener_->port());
    hello.set_proof(DiallerProof(*ours.secret, hello, {.listener = nonce, .dialler = "mine"}));
  };
  Listen({.credentials = ours});
  EXPECT_THAT(Say(SomeHello(), [](Hello&, const std::string&) {}), HasSubstr("denied"));
  EXPECT_THAT(Say(SomeHello(), [&](Hello& hello, const std::string&) { sign(hello, "older"); }),
              HasSubstr("denied"));
  EXPECT_THAT(
      Say(SomeHello(),
          [&](Hello& hello, const std::string& nonce) {
            hello.set_port(1);
            hello.set_proof(DiallerProof(*ours.secret, hello, {.listener = nonce, .dialler = ""}));
          }),
      HasSubstr("denied"));
  EXPECT_THAT(Say(SomeHello(),
                  [&](Hello& hello, const std::string& nonce) {
                    hello.set_nonce("mine");
                    hello.set_port(listener_->port());
                    hello.set_proof(
                        ListenerProof(*ours.secret, hello, {.listener = nonce, .dialler = "mine"}));
                  }),
              HasSubstr("denied"));
  const std::vector<std::function<void(Hello&)>> changes = {
      [](Hello& h) { h.set_job_id("job-2"); },  [](Hello& h) { h.set_epoch(8); },
      [](Hello& h) { h.set_plan_hash(1); },     [](Hello& h) { h.set_channel(4); },
      [](Hello& h) { h.set_node_id("other"); }, [](Hello& h) { h.set_nonce("yours"); }};
  for (const auto& change : changes) {
    EXPECT_THAT(Say(SomeHello(),
                    [&](Hello& hello, const std::string& nonce) {
                      sign(hello, nonce);
                      change(hello);
                    }),
                HasSubstr("denied"));
  }
}

TEST_F(SecretTest, WhereAProxyStandsBeforeThePortItIsTheProxys) {
  Listen({.advertised_port = 1, .credentials = SecretOf(1)});
  credentials_ = SecretOf(1);
  Refusal();
  ASSERT_FALSE(refused_.empty());
  EXPECT_THAT(refused_[0], HasSubstr("denied"));
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
  answer.set_protocol_version(kProtocolVersion);
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
  answer.set_protocol_version(kProtocolVersion);
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
