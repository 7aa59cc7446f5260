// What channels on a connection have in common: signs of life, two coroutines, one end. Private to
// the adapters: users see ChannelEnd.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "fabric/channel.h"
#include "fabric/channel_flow.h"
#include "fabric/tcp_stream.h"

namespace waferstream {

// A channel on a connection on which both ends have said Hello, as its socket allows: a TcpChannel,
// or a ShmChannel on a socket of this host.
std::shared_ptr<ChannelEnd> MakeChannel(TcpStream stream, const ChannelTerms& terms,
                                        absl::Duration alive_every);

// Takes over a connection on which both ends have said Hello.
//
// One coroutine reads for as long as the channel lives; another writes for as long as there is
// something to write. Both hold a reference, so the object lives until both have ended, and only
// then is OnClosed called. Signs of life (tcp_liveness.h) are sent from the beginning, because the
// peer may open its end earlier; they are missed once this end is open.
class StreamChannel : public ChannelEnd, public std::enable_shared_from_this<StreamChannel> {
 public:
  void Open(ChannelHandler& handler) override;
  void Send(const FrameHeader& header, const std::byte* payload, uint64_t token,
            bool lend) override;
  void Grant(const Credit& credit) override;
  void Close() override;

 protected:
  StreamChannel(TcpStream stream, ChannelFlow flow, absl::Duration alive_every);

  // Reads one frame and deals with it. An error ends the channel; so does Close meanwhile.
  virtual boost::asio::awaitable<absl::Status> ReadFrame() = 0;
  // Writes what is due next, and says whether there was anything.
  virtual boost::asio::awaitable<absl::StatusOr<bool>> WriteSome() = 0;

  TcpStream& stream() { return stream_; }
  ChannelFlow& flow() { return flow_; }
  ChannelHandler& handler() { return *handler_; }
  bool closed() const { return closed_; }
  bool& heard() { return heard_; }  // a byte came since the last sign of life was due

  absl::Status TakeCredit(const FrameHeader& header);
  // This payload has left, or came back: its sender is told, unless the channel has ended.
  void Left(uint64_t token);
  void StartWriting();

 private:
  friend std::shared_ptr<ChannelEnd> MakeChannel(TcpStream stream, const ChannelTerms& terms,
                                                 absl::Duration alive_every);

  boost::asio::awaitable<void> ReadFrames();
  boost::asio::awaitable<void> WriteFrames();
  void AwaitBeat();
  void Beat();
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
  bool heard_ = false;
  int silent_beats_ = 0;
};

}  // namespace waferstream
