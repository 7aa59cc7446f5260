#include "fabric/mpi_channel.h"

#include <boost/asio/post.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace waferstream {

void MpiChannel::Open(ChannelHandler& handler) {
  WS_CHECK(handler_ == nullptr);
  handler_ = &handler;
  if (closed_) return FinishIfIdle();
  ReceiveHeader();
}

void MpiChannel::Send(const FrameHeader& header, const std::byte* payload, uint64_t token,
                      bool lend) {
  if (closed_) return;
  flow_.Send(header, payload, token, lend);
  SendFrames();
}

void MpiChannel::Grant(const Credit& credit) {
  if (closed_) return;
  flow_.Grant(credit);
  SendFrames();
}

// -- out -----------------------------------------------------------------------------------------

void MpiChannel::SendFrames() {
  while (std::optional<OutgoingFrame> frame = flow_.Next()) SendFrame(*frame);
}

void MpiChannel::SendFrame(OutgoingFrame& frame) {
  const auto header = std::make_shared<const HeaderBytes>(
      flow_.Seal(frame.header, {frame.payload, frame.header.length}));
  const auto self = shared_from_this();
  requests_.Send(route_.peer, route_.tag_out, header->data(), header->size(),
                 [self, header](const absl::StatusOr<MpiTransfer>& left) {
                   if (!left.ok()) self->Fail(left.status());
                 });
  if (!frame.token.has_value()) return;
  ++buffers_in_use_;
  requests_.Send(route_.peer, route_.tag_out + 1, frame.payload, frame.header.length,
                 [self, frame](const absl::StatusOr<MpiTransfer>& left) {
                   self->OnSent(frame, left.status());
                 });
}

void MpiChannel::OnSent(const OutgoingFrame& frame, const absl::Status& status) {
  --buffers_in_use_;
  flow_.OnLeft();
  if (!status.ok()) Fail(status);
  if (!closed_) handler_->OnSent(*frame.token);
  FinishIfIdle();
}

// -- in ------------------------------------------------------------------------------------------

void MpiChannel::ReceiveHeader() {
  requests_.Receive(route_.peer, route_.tag_in, header_in_.data(), header_in_.size(),
                    [self = shared_from_this()](const absl::StatusOr<MpiTransfer>& arrived) {
                      self->OnHeader(arrived);
                    });
}

void MpiChannel::OnHeader(const absl::StatusOr<MpiTransfer>& arrived) {
  if (arrived.ok() && arrived->bytes == 0)
    return OnPeerEnded(absl::AbortedError("closed by the peer"));
  if (!arrived.ok()) return OnPeerEnded(arrived.status());
  header_bytes_ = arrived->bytes;
  header_waits_ = true;
  if (!payload_due_) TakeHeader();
}

void MpiChannel::TakeHeader() {
  header_waits_ = false;
  const absl::Status status = closed_ ? absl::OkStatus() : TakeFrame();
  if (!status.ok()) Fail(status);
  ReceiveHeader();
}

absl::Status MpiChannel::TakeFrame() {
  if (header_bytes_ != header_in_.size()) {
    return absl::DataLossError(absl::StrCat("a header of ", header_bytes_, " bytes"));
  }
  ASSIGN_OR_RETURN(const FrameHeader header, flow_.TakeHeader(header_in_));
  if (header.kind == FrameKind::kCredit) {
    ASSIGN_OR_RETURN(const Credit granted, flow_.TakeCredit(header));
    handler_->OnCredit(granted);
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const std::span<std::byte> buffer, handler_->BufferFor(header));
  WS_CHECK(buffer.size() == header.length);
  ReceivePayload(header, buffer);
  return absl::OkStatus();
}

void MpiChannel::ReceivePayload(const FrameHeader& header, std::span<std::byte> buffer) {
  payload_due_ = true;
  ++buffers_in_use_;
  requests_.Receive(
      route_.peer, route_.tag_in + 1, buffer.data(), buffer.size(),
      [self = shared_from_this(), header, buffer](const absl::StatusOr<MpiTransfer>& arrived) {
        self->OnPayload(header, buffer, arrived);
      });
}

void MpiChannel::OnPayload(const FrameHeader& header, std::span<std::byte> buffer,
                           const absl::StatusOr<MpiTransfer>& arrived) {
  payload_due_ = false;
  --buffers_in_use_;
  absl::Status status = arrived.status();
  if (status.ok() && arrived->bytes != buffer.size()) {
    status = absl::DataLossError(
        absl::StrCat("a payload of ", arrived->bytes, " bytes for ", Describe(header)));
  }
  if (status.ok()) status = ChannelFlow::CheckPayload(header, buffer.data());
  if (status.ok() && !closed_) status = handler_->OnFrame(header, buffer.data());
  if (!status.ok()) Fail(status);
  FinishIfIdle();
  if (header_waits_) TakeHeader();
}

// Everything that it sent is here, or on its way to a receive.
void MpiChannel::OnPeerEnded(const absl::Status& how) {
  Fail(how);
  requests_.TakeBack(route_.peer, route_.tag_in + 1);
  requests_.Discard(route_.peer, route_.tag_in + 1);
}

// -- ends ----------------------------------------------------------------------------------------

void MpiChannel::Fail(const absl::Status& why) {
  if (closed_) return;
  closed_ = true;
  why_closed_ = why;
  requests_.Send(route_.peer, route_.tag_out, nullptr, 0,
                 [](const absl::StatusOr<MpiTransfer>&) {});
  if (handler_ == nullptr) ReceiveHeader();  // until the peer has ended, too
  FinishIfIdle();
}

void MpiChannel::FinishIfIdle() {
  if (!closed_ || buffers_in_use_ > 0 || finished_ || handler_ == nullptr) return;
  finished_ = true;
  boost::asio::post(io_,
                    [self = shared_from_this()] { self->handler_->OnClosed(self->why_closed_); });
}

}  // namespace waferstream
