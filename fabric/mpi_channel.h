// A channel between two ranks. Private to the mpi adapter: users see ChannelEnd.
#pragma once

#include <memory>
#include <vector>

#include "fabric/channel.h"
#include "fabric/channel_flow.h"
#include "fabric/mpi_requests.h"

namespace waferstream {

// Where a channel's messages go. A frame is a header on the tag, then, if it has any, its payload
// on the next one; each end names the tags by which it is reached.
struct MpiRoute {
  int peer = 0;     // rank
  int tag_in = 0;   // of this end
  int tag_out = 0;  // of the peer's
};

// Frames leave as soon as they are due, each from where it lies. A header is received first, then
// the payload straight into the handler's buffer.
//
// An end says that it sends no more by a header of no bytes, and must hear the same of its peer: a
// message that nobody receives would never have left. So an end that is closed receives on, and
// throws away, until then; it keeps itself alive for that, and needs no handler.
class MpiChannel final : public std::enable_shared_from_this<MpiChannel> {
 public:
  // `requests` outlives the channel's use of it: what it is told last.
  MpiChannel(boost::asio::io_context& io, MpiRequests& requests, MpiRoute route,
             const ChannelTerms& terms)
      : io_(io), requests_(requests), route_(route), flow_(terms) {}

  // As of ChannelEnd. Close: also of one that was never opened.
  void Open(ChannelHandler& handler);
  void Send(const FrameHeader& header, const std::byte* payload, uint64_t token, bool lend);
  void Grant(const Credit& credit);
  void Close() { Fail(absl::OkStatus()); }

 private:
  void SendFrames();
  void SendFrame(OutgoingFrame& frame);
  void OnSent(const OutgoingFrame& frame, const absl::Status& status);

  void ReceiveHeader();
  void OnHeader(const absl::StatusOr<MpiTransfer>& arrived);
  void TakeHeader();
  absl::Status TakeFrame();
  void ReceivePayload(const FrameHeader& header, std::span<std::byte> buffer);
  void OnPayload(const FrameHeader& header, std::span<std::byte> buffer,
                 const absl::StatusOr<MpiTransfer>& arrived);
  void OnPeerEnded(const absl::Status& how);

  void Fail(const absl::Status& why);
  void FinishIfIdle();

  boost::asio::io_context& io_;
  MpiRequests& requests_;
  const MpiRoute route_;
  ChannelFlow flow_;
  ChannelHandler* handler_ = nullptr;
  HeaderBytes header_in_;
  size_t header_bytes_ = 0;    // of which came
  bool header_waits_ = false;  // for the payload before it
  bool payload_due_ = false;
  bool closed_ = false;
  bool finished_ = false;   // OnClosed is on its way
  int buffers_in_use_ = 0;  // the user's, by MPI
  absl::Status why_closed_;
};

}  // namespace waferstream
