#include "fabric/tcp_fixture.h"

#include <utility>

#include "fabric/shm_channel.h"
#include "fabric/tested_fabric.h"

namespace waferstream {

void TcpTest::Listen(TcpListenerOptions options) {
  options.node_id = "listener";
  options.alive_every = alive_every_;
  options.kind = TestedFabric();
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
                      .timeout = timeout,
                      .peer_role = peer_role_};
  return StartTcpDial(
      io_, request,
      {.credentials = credentials_, .alive_every = alive_every_, .kind = TestedFabric()},
      [this](absl::StatusOr<std::shared_ptr<ChannelEnd>> channel) {
        dialled_ = channel.status();
        if (channel.ok()) down_.channel = *channel;
      });
}

void TcpTest::OpenChannel(uint16_t port) {
  const bool direct = port == 0;
  if (direct) port = listener_->port();
  auto dial = StartDial(port, SomeHello());
  ASSERT_TRUE(RunUntil(io_, [&] { return down_.channel && up_.channel; }));
  const bool shares_memory = direct && TestedFabric() != FabricKind::kTcp;
  for (const End* end : {&up_, &down_}) {
    EXPECT_EQ(dynamic_cast<ShmChannel*>(end->channel.get()) != nullptr, shares_memory);
  }
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
