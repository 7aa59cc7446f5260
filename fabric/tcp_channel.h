// A channel on one TCP connection. Private to the tcp adapter: users see ChannelEnd.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <memory>

#include "absl/time/time.h"
#include "fabric/channel.h"
#include "fabric/channel_flow.h"
#include "fabric/tcp_stream.h"

namespace waferstream {

// Takes over a connection on which both ends have said Hello.
//
// One coroutine reads for as long as the channel lives; another writes for as long as there is
// something to write. Header first, then the payload straight into the handler's buffer; header and
// payload leave in one gathered write. Both coroutines hold a reference, so the object lives until
// both have ended, and only then is OnClosed called. Signs of life (tcp_liveness.h) are sent from
// the beginning, because the peer may open its end earlier; they are missed once this end is open.
class TcpChannel final : public ChannelEnd, public std::enable_shared_from_this<TcpChannel> {
 public:
  static std::shared_ptr<TcpChannel> Create(TcpStream stream, const ChannelTerms& terms,
                                            absl::Duration alive_every);

  void Open(ChannelHandler& handler) override;
  void Send(const FrameHeader& header, const std::byte* payload, uint64_t token) override;
  void Grant(const Credit& credit) override;
  void Close() override;

 private:
  TcpChannel(TcpStream stream, const ChannelTerms& terms, absl::Duration alive_every);

  boost::asio::awaitable<void> ReadFrames();
  boost::asio::awaitable<absl::Status> ReadFrame();
  boost::asio::awaitable<absl::Status> ReadPayload(const FrameHeader& header);
  absl::Status TakeCredit(const FrameHeader& header);

  void AwaitBeat();
  void Beat();

  void StartWriting();
  boost::asio::awaitable<void> WriteFrames();
  boost::asio::awaitable<absl::Status> WriteFrame(const OutgoingFrame& frame);

  void Fail(const absl::Status& why);
  void FinishIfIdle();

  TcpStream stream_;
  ChannelFlow flow_;
  ChannelHandler* handler_ = nullptr;
  bool closed_ = false;
  bool finished_ = false;  // OnClosed is on its way
  bool reading_ = false;
  bool writing_ = false;
  absl::Status why_closed_;
  const std::chrono::milliseconds alive_every_;
  boost::asio::steady_timer beat_;
  bool heard_ = false;  // a byte came since the last beat
  int silent_beats_ = 0;
};

}  // namespace waferstream
