#include "fabric/tcp_channel.h"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/completion_condition.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "fabric/tcp_liveness.h"
#include "fabric/tcp_socket.h"

namespace waferstream {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

// As a read of everything, but `heard` says that something came. Not asked about the piece that is
// the last one: whoever reads says so himself.
auto Hearing(bool& heard) {
  return [&heard](const error_code& error, size_t bytes) {
    if (bytes > 0) heard = true;
    return asio::transfer_all()(error, bytes);
  };
}

}  // namespace

std::shared_ptr<TcpChannel> TcpChannel::Create(TcpStream stream, const ChannelTerms& terms,
                                               absl::Duration alive_every) {
  std::shared_ptr<TcpChannel> channel(new TcpChannel(std::move(stream), terms, alive_every));
  channel->AwaitBeat();
  return channel;
}

TcpChannel::TcpChannel(TcpStream stream, const ChannelTerms& terms, absl::Duration alive_every)
    : stream_(std::move(stream)),
      flow_(terms),
      alive_every_(absl::ToChronoMilliseconds(alive_every)),
      beat_(stream_.get_executor()) {}

void TcpChannel::Open(ChannelHandler& handler) {
  WS_CHECK(handler_ == nullptr);
  handler_ = &handler;
  if (closed_) return FinishIfIdle();
  reading_ = true;
  asio::co_spawn(
      stream_.get_executor(), [self = shared_from_this()] { return self->ReadFrames(); },
      asio::detached);
}

void TcpChannel::Send(const FrameHeader& header, const std::byte* payload, uint64_t token) {
  if (closed_) return;
  flow_.Send(header, payload, token);
  StartWriting();
}

void TcpChannel::Grant(const Credit& credit) {
  if (closed_) return;
  flow_.Grant(credit);
  StartWriting();
}

void TcpChannel::Close() { Fail(absl::OkStatus()); }

asio::awaitable<void> TcpChannel::ReadFrames() {
  while (!closed_) {
    const absl::Status status = co_await ReadFrame();
    if (!status.ok()) Fail(status);
  }
  reading_ = false;
  FinishIfIdle();
}

asio::awaitable<absl::Status> TcpChannel::ReadFrame() {
  HeaderBytes bytes;
  error_code error;
  co_await asio::async_read(stream_, asio::buffer(bytes), Hearing(heard_),
                            asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return SocketError(error);
  heard_ = true;
  if (closed_) co_return absl::OkStatus();  // while the completion was on its way here
  const absl::StatusOr<FrameHeader> header = flow_.TakeHeader(bytes);
  if (!header.ok()) co_return header.status();
  if (header->kind == FrameKind::kCredit) co_return TakeCredit(*header);
  co_return co_await ReadPayload(*header);
}

absl::Status TcpChannel::TakeCredit(const FrameHeader& header) {
  ASSIGN_OR_RETURN(const Credit granted, flow_.TakeCredit(header));
  const bool sign_of_life = granted.slots[kSmall] + granted.slots[kLarge] == 0;
  if (!sign_of_life) handler_->OnCredit(granted);
  return absl::OkStatus();
}

// The timer does not keep the channel: one that is dropped before it was opened ends.
void TcpChannel::AwaitBeat() {
  beat_.expires_after(alive_every_);
  beat_.async_wait([weak = weak_from_this()](const error_code& error) {
    const std::shared_ptr<TcpChannel> self = weak.lock();
    if (!error && self != nullptr) self->Beat();
  });
}

void TcpChannel::Beat() {
  if (closed_) return;
  flow_.SayAlive();
  StartWriting();
  if (reading_) silent_beats_ = std::exchange(heard_, false) ? 0 : silent_beats_ + 1;
  if (silent_beats_ < kSilentBeats) return AwaitBeat();
  Fail(absl::UnavailableError(
      absl::StrCat("the connection stands, but nothing has come through it for ",
                   absl::FormatDuration(kSilentBeats * absl::FromChrono(alive_every_)))));
}

asio::awaitable<absl::Status> TcpChannel::ReadPayload(const FrameHeader& header) {
  const absl::StatusOr<std::span<std::byte>> buffer = handler_->BufferFor(header);
  if (!buffer.ok()) co_return buffer.status();
  WS_CHECK(buffer->size() == header.length);
  error_code error;
  co_await asio::async_read(stream_, asio::buffer(buffer->data(), buffer->size()), Hearing(heard_),
                            asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return SocketError(error);
  heard_ = true;
  if (closed_) co_return absl::OkStatus();
  const absl::Status intact = ChannelFlow::CheckPayload(header, buffer->data());
  if (!intact.ok()) co_return intact;
  co_return handler_->OnFrame(header);
}

void TcpChannel::StartWriting() {
  if (writing_) return;
  writing_ = true;
  asio::co_spawn(
      stream_.get_executor(), [self = shared_from_this()] { return self->WriteFrames(); },
      asio::detached);
}

asio::awaitable<void> TcpChannel::WriteFrames() {
  while (!closed_) {
    const std::optional<OutgoingFrame> frame = flow_.Next();
    if (!frame.has_value()) break;
    const absl::Status status = co_await WriteFrame(*frame);
    if (frame->token.has_value()) {
      flow_.OnLeft();
      if (status.ok() && !closed_) handler_->OnSent(*frame->token);
    }
    if (!status.ok()) Fail(status);
  }
  writing_ = false;
  FinishIfIdle();
}

asio::awaitable<absl::Status> TcpChannel::WriteFrame(const OutgoingFrame& frame) {
  const std::array<asio::const_buffer, 2> parts = {asio::buffer(frame.header),
                                                   asio::buffer(frame.payload, frame.length)};
  error_code error;
  co_await asio::async_write(stream_, parts, asio::redirect_error(asio::use_awaitable, error));
  co_return SocketError(error);
}

// Closing the socket ends whatever the coroutines wait for.
void TcpChannel::Fail(const absl::Status& why) {
  if (closed_) return;
  closed_ = true;
  why_closed_ = why;
  beat_.cancel();
  error_code ignored;
  stream_.socket().close(ignored);
  FinishIfIdle();
}

void TcpChannel::FinishIfIdle() {
  if (!closed_ || reading_ || writing_ || finished_ || handler_ == nullptr) return;
  finished_ = true;
  asio::post(stream_.get_executor(),
             [self = shared_from_this()] { self->handler_->OnClosed(self->why_closed_); });
}

}  // namespace waferstream
