// A channel on one TCP connection. Private to the tcp adapter: users see ChannelEnd.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "fabric/stream_channel.h"

namespace waferstream {

// Header first, then the payload straight into the handler's buffer, which has its checksum taken
// while it is in cache; header and payload leave in one gathered write. What is lent is copied like
// the rest. Made by MakeChannel.
class TcpChannel final : public StreamChannel {
 public:
  TcpChannel(TcpStream stream, const ChannelTerms& terms, absl::Duration alive_every)
      : StreamChannel(std::move(stream), ChannelFlow(terms), alive_every) {}

  void Return(uint64_t) override {}  // what is received is the receiver's own
  std::string carrier() const override { return "tcp"; }

 private:
  boost::asio::awaitable<absl::Status> ReadFrame() override;
  boost::asio::awaitable<absl::StatusOr<bool>> WriteSome() override;

  boost::asio::awaitable<absl::Status> ReadPayload(const FrameHeader& header);
};

}  // namespace waferstream
