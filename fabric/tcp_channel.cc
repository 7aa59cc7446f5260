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
#include "absl/strings/str_format.h"
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

std::shared_ptr<TcpChannel> TcpChannel::Create(asio::ip::tcp::socket socket,
                                               const ChannelTerms& terms,
                                               absl::Duration alive_every) {
  std::shared_ptr<TcpChannel> channel(new TcpChannel(std::move(socket), terms, alive_every));
  channel->AwaitBeat();
  return channel;
}

TcpChannel::TcpChannel(asio::ip::tcp::socket socket, const ChannelTerms& terms,
                       absl::Duration alive_every)
    : socket_(std::move(socket)),
      terms_(terms),
      alive_every_(absl::ToChronoMilliseconds(alive_every)),
      beat_(socket_.get_executor()) {}

void TcpChannel::Open(ChannelHandler& handler) {
  WS_CHECK(handler_ == nullptr);
  handler_ = &handler;
  if (closed_) return FinishIfIdle();
  reading_ = true;
  asio::co_spawn(
      socket_.get_executor(), [self = shared_from_this()] { return self->ReadFrames(); },
      asio::detached);
}

void TcpChannel::Send(const FrameHeader& header, const std::byte* payload, uint64_t token) {
  if (closed_) return;
  WS_CHECK(unspent_ > 0);
  --unspent_;
  queue_.push_back({header, payload, token});
  StartWriting();
}

void TcpChannel::Grant(const Credit& credit) {
  if (closed_) return;
  for (int c = 0; c < kSlotClasses; ++c) pending_grant_.slots[c] += credit.slots[c];
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
  co_await asio::async_read(socket_, asio::buffer(bytes), Hearing(heard_),
                            asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return SocketError(error);
  heard_ = true;
  if (closed_) co_return absl::OkStatus();  // while the completion was on its way here
  const absl::StatusOr<FrameHeader> header = Decode(bytes);
  if (!header.ok()) co_return header.status();
  absl::Status status = CheckHeader(*header);
  if (!status.ok()) co_return status;
  if (header->kind == FrameKind::kCredit) co_return TakeCredit(*header);
  co_return co_await ReadPayload(*header);
}

absl::Status TcpChannel::CheckHeader(const FrameHeader& header) {
  if (header.sequence != sequence_in_) {
    return absl::DataLossError(absl::StrCat("frame ", header.sequence, " arrived where frame ",
                                            sequence_in_, " was due (", Describe(header), ")"));
  }
  ++sequence_in_;
  if (header.epoch != terms_.epoch) {
    return absl::FailedPreconditionError(
        absl::StrCat(Describe(header), " on a channel of epoch ", terms_.epoch));
  }
  if (header.kind == FrameKind::kHello) {
    return absl::InvalidArgumentError("a second Hello on an open channel");
  }
  return absl::OkStatus();
}

absl::Status TcpChannel::TakeCredit(const FrameHeader& header) {
  if (header.length != 0) return absl::InvalidArgumentError("a credit frame with a payload");
  if (FrameCrc(header, nullptr) != header.crc) {
    return absl::DataLossError("checksum mismatch in a credit frame");
  }
  const int64_t granted = int64_t{header.range_lo} + header.tile;
  if (unspent_ + static_cast<int64_t>(queue_.size()) + granted > 2 * int64_t{terms_.peer_slots()}) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the peer granted %d slots beyond its window of %d", granted, terms_.peer_slots()));
  }
  if (granted == 0) return absl::OkStatus();  // a sign of life
  unspent_ += granted;
  handler_->OnCredit({.slots = {static_cast<int>(header.range_lo), static_cast<int>(header.tile)}});
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
  alive_due_ = true;
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
  co_await asio::async_read(socket_, asio::buffer(buffer->data(), buffer->size()), Hearing(heard_),
                            asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return SocketError(error);
  heard_ = true;
  if (closed_) co_return absl::OkStatus();
  const uint32_t crc = FrameCrc(header, buffer->data());
  if (crc != header.crc) {
    co_return absl::DataLossError(
        absl::StrFormat("checksum mismatch in %s: the header says %08x, the bytes give %08x",
                        Describe(header), header.crc, crc));
  }
  co_return handler_->OnFrame(header);
}

void TcpChannel::StartWriting() {
  if (writing_) return;
  writing_ = true;
  asio::co_spawn(
      socket_.get_executor(), [self = shared_from_this()] { return self->WriteFrames(); },
      asio::detached);
}

asio::awaitable<void> TcpChannel::WriteFrames() {
  while (!closed_) {
    absl::Status status;
    const bool grants = pending_grant_.slots[kSmall] + pending_grant_.slots[kLarge] > 0;
    if (std::exchange(alive_due_, false) || grants) {
      const Credit grant = std::exchange(pending_grant_, Credit{});
      FrameHeader header;
      header.kind = FrameKind::kCredit;
      header.epoch = terms_.epoch;
      header.range_lo = static_cast<uint32_t>(grant.slots[kSmall]);
      header.tile = static_cast<uint32_t>(grant.slots[kLarge]);
      status = co_await WriteFrame(header, nullptr);
    } else if (!queue_.empty()) {
      status = co_await WriteFrame(queue_.front().header, queue_.front().payload);
      const uint64_t token = queue_.front().token;
      queue_.pop_front();
      if (status.ok() && !closed_) handler_->OnSent(token);
    } else {
      break;
    }
    if (!status.ok()) Fail(status);
  }
  writing_ = false;
  FinishIfIdle();
}

asio::awaitable<absl::Status> TcpChannel::WriteFrame(FrameHeader header, const std::byte* payload) {
  header.sequence = sequence_out_++;
  header.crc = FrameCrc(header, payload);
  const HeaderBytes bytes = Encode(header);
  const std::array<asio::const_buffer, 2> parts = {asio::buffer(bytes),
                                                   asio::buffer(payload, header.length)};
  error_code error;
  co_await asio::async_write(socket_, parts, asio::redirect_error(asio::use_awaitable, error));
  co_return SocketError(error);
}

// Closing the socket ends whatever the coroutines wait for.
void TcpChannel::Fail(const absl::Status& why) {
  if (closed_) return;
  closed_ = true;
  why_closed_ = why;
  beat_.cancel();
  error_code ignored;
  socket_.close(ignored);
  FinishIfIdle();
}

void TcpChannel::FinishIfIdle() {
  if (!closed_ || reading_ || writing_ || finished_ || handler_ == nullptr) return;
  finished_ = true;
  asio::post(socket_.get_executor(),
             [self = shared_from_this()] { self->handler_->OnClosed(self->why_closed_); });
}

}  // namespace waferstream
