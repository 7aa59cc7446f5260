#include "fabric/stream_channel.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "fabric/shm_channel.h"
#include "fabric/tcp_channel.h"
#include "fabric/tcp_liveness.h"
#include "fabric/tcp_socket.h"

namespace waferstream {

namespace asio = boost::asio;
using boost::system::error_code;

std::shared_ptr<ChannelEnd> MakeChannel(TcpStream stream, const ChannelTerms& terms,
                                        absl::Duration alive_every) {
  std::shared_ptr<StreamChannel> channel;
  if (IsOfThisHost(stream.socket())) {
    channel = std::make_shared<ShmChannel>(std::move(stream), terms, alive_every);
  } else {
    channel = std::make_shared<TcpChannel>(std::move(stream), terms, alive_every);
  }
  channel->AwaitBeat();
  return channel;
}

StreamChannel::StreamChannel(TcpStream stream, ChannelFlow flow, absl::Duration alive_every)
    : stream_(std::move(stream)),
      flow_(std::move(flow)),
      alive_every_(absl::ToChronoMilliseconds(alive_every)),
      beat_(stream_.get_executor()) {}

void StreamChannel::Open(ChannelHandler& handler) {
  WS_CHECK(handler_ == nullptr);
  handler_ = &handler;
  if (closed_) return FinishIfIdle();
  reading_ = true;
  asio::co_spawn(
      stream_.get_executor(), [self = shared_from_this()] { return self->ReadFrames(); },
      asio::detached);
}

void StreamChannel::Send(const FrameHeader& header, const std::byte* payload, uint64_t token,
                         bool lend) {
  if (closed_) return;
  flow_.Send(header, payload, token, lend);
  StartWriting();
}

void StreamChannel::Grant(const Credit& credit) {
  if (closed_) return;
  flow_.Grant(credit);
  StartWriting();
}

void StreamChannel::Close() { Fail(absl::OkStatus()); }

// Never from inside a call into this end.
asio::awaitable<void> StreamChannel::ReadFrames() {
  co_await asio::post(stream_.get_executor(), asio::use_awaitable);
  while (!closed_) {
    const absl::Status status = co_await ReadFrame();
    if (!status.ok()) Fail(status);
  }
  reading_ = false;
  FinishIfIdle();
}

absl::Status StreamChannel::TakeCredit(const FrameHeader& header) {
  ASSIGN_OR_RETURN(const Credit granted, flow_.TakeCredit(header));
  const bool sign_of_life = granted.slots[kSmall] + granted.slots[kLarge] == 0;
  if (!sign_of_life) handler_->OnCredit(granted);
  return absl::OkStatus();
}

// The timer does not keep the channel: one that is dropped before it was opened ends.
void StreamChannel::AwaitBeat() {
  beat_.expires_after(alive_every_);
  beat_.async_wait([weak = weak_from_this()](const error_code& error) {
    const std::shared_ptr<StreamChannel> self = weak.lock();
    if (!error && self != nullptr) self->Beat();
  });
}

void StreamChannel::Beat() {
  if (closed_) return;
  flow_.SayAlive();
  StartWriting();
  if (reading_) silent_beats_ = std::exchange(heard_, false) ? 0 : silent_beats_ + 1;
  if (silent_beats_ < kSilentBeats) return AwaitBeat();
  Fail(absl::UnavailableError(
      absl::StrCat("the connection stands, but nothing has come through it for ",
                   absl::FormatDuration(kSilentBeats * absl::FromChrono(alive_every_)))));
}

void StreamChannel::Left(uint64_t token) {
  flow_.OnLeft();
  if (!closed_) handler_->OnSent(token);
}

void StreamChannel::StartWriting() {
  if (writing_) return;
  writing_ = true;
  asio::co_spawn(
      stream_.get_executor(), [self = shared_from_this()] { return self->WriteFrames(); },
      asio::detached);
}

// Begins when whoever called has said all that it wants sent: so that leaves together.
asio::awaitable<void> StreamChannel::WriteFrames() {
  co_await asio::post(stream_.get_executor(), asio::use_awaitable);
  while (!closed_) {
    const absl::StatusOr<bool> wrote = co_await WriteSome();
    if (!wrote.ok()) Fail(wrote.status());
    if (wrote.ok() && !*wrote) break;
  }
  writing_ = false;
  FinishIfIdle();
}

// Closing the socket ends whatever the coroutines wait for.
void StreamChannel::Fail(const absl::Status& why) {
  if (closed_) return;
  closed_ = true;
  why_closed_ = why;
  beat_.cancel();
  error_code ignored;
  stream_.socket().close(ignored);
  FinishIfIdle();
}

void StreamChannel::FinishIfIdle() {
  if (!closed_ || reading_ || writing_ || finished_ || handler_ == nullptr) return;
  finished_ = true;
  asio::post(stream_.get_executor(),
             [self = shared_from_this()] { self->handler_->OnClosed(self->why_closed_); });
}

}  // namespace waferstream
