#include "fabric/tcp_fixture.h"

#include <chrono>
#include <random>
#include <utility>

namespace waferstream {

bool RunUntil(boost::asio::io_context& io, const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    io.restart();
    io.run_one_for(std::chrono::milliseconds(50));
  }
  return true;
}

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

absl::StatusOr<std::span<std::byte>> End::BufferFor(const FrameHeader& header) {
  if (header.length > size_t{64} << 20) return absl::InvalidArgumentError("too long");
  buffer_.resize(header.length);
  return std::span<std::byte>(buffer_);
}

absl::Status End::OnFrame(const FrameHeader& header) {
  frames.push_back({header, buffer_});
  if (grant_after_frame) channel->Grant({.slots = {0, 1}});
  return frame_status;
}

void End::OnCredit(const Credit& credit) {
  for (int c = 0; c < kSlotClasses; ++c) credits.slots[c] += credit.slots[c];
  SendWhatMaySend();
}

void End::SendWhatMaySend() {
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

absl::StatusOr<ChannelTerms> TcpTest::Admit(const Hello& theirs) {
  if (theirs.epoch() != kEpoch) return absl::NotFoundError("epoch is not prepared here");
  if (theirs.plan_hash() != 0x1234) return absl::FailedPreconditionError("another plan");
  return ChannelTerms{.epoch = kEpoch, .peer_window = {{slots_, 0}}};
}

void TcpTest::Listen(TcpListenerOptions options) {
  options.node_id = "listener";
  options.alive_every = alive_every_;
  auto listener = TcpListener::Create(io_, options, *this);
  ASSERT_TRUE(listener.ok()) << listener.status();
  listener_ = *std::move(listener);
}

std::shared_ptr<PendingDial> TcpTest::StartDial(uint16_t port, const Hello& hello,
                                                absl::Duration timeout, const std::string& host) {
  DialRequest request{.host = host,
                      .port = port,
                      .hello = hello,
                      .terms = {.epoch = kEpoch, .peer_window = {{slots_, 0}}},
                      .timeout = timeout};
  return StartTcpDial(io_, request, {.credentials = credentials_, .alive_every = alive_every_},
                      [this](absl::StatusOr<std::shared_ptr<ChannelEnd>> channel) {
                        dialled_ = channel.status();
                        if (channel.ok()) down_.channel = *channel;
                      });
}

void TcpTest::OpenChannel(uint16_t port) {
  if (port == 0) port = listener_->port();
  auto dial = StartDial(port, SomeHello());
  ASSERT_TRUE(RunUntil(io_, [&] { return down_.channel && up_.channel; }));
  up_.channel->Open(up_);
  down_.channel->Open(down_);
}

void TcpTest::TearDown() {
  listener_.reset();
  for (End* end : {&up_, &down_}) {
    if (end->channel) end->channel->Close();
  }
  EXPECT_TRUE(RunUntil(
      io_, [this] { return (!up_.channel || up_.closed) && (!down_.channel || down_.closed); }));
}

}  // namespace waferstream
