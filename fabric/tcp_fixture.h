// What the tests of the tcp adapter share: two ends of a channel on the loopback interface, both on
// one io_context that the test drives.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/credentials.h"
#include "base/credit.h"
#include "fabric/channel.h"
#include "fabric/fabric.h"
#include "fabric/tcp_dial.h"
#include "fabric/tcp_listener.h"
#include "fabric/tcp_liveness.h"

namespace waferstream {

inline constexpr uint32_t kEpoch = 7;

// Runs the loop until `condition` holds; false after ten seconds without.
bool RunUntil(boost::asio::io_context& io, const std::function<bool()>& condition);

std::vector<std::vector<std::byte>> RandomPayloads(std::initializer_list<size_t> sizes);

// What a listener of TcpTest lets in.
Hello SomeHello();

// One end's user: takes every frame and remembers it.
class End : public ChannelHandler {
 public:
  struct Got {
    FrameHeader header;
    std::vector<std::byte> payload;
  };

  absl::StatusOr<std::span<std::byte>> BufferFor(const FrameHeader& header) override;
  absl::Status OnFrame(const FrameHeader& header) override;
  void OnCredit(const Credit& credit) override;
  void OnSent(uint64_t token) override { sent.push_back(token); }
  void OnClosed(const absl::Status& why) override { closed = why; }

  // Sends `payloads` one by one, as slots of the large class allow.
  void SendWhatMaySend();

  std::shared_ptr<ChannelEnd> channel;
  std::vector<std::vector<std::byte>> payloads;  // to send
  size_t next = 0;
  bool grant_after_frame = false;
  absl::Status frame_status;  // what OnFrame answers
  std::vector<Got> frames;
  Credit credits;
  std::vector<uint64_t> sent;
  std::optional<absl::Status> closed;

 private:
  std::vector<std::byte> buffer_;
};

// `up_` is the listener's end, `down_` the dialler's.
class TcpTest : public ::testing::Test, public AcceptHandler {
 protected:
  // -- the listening node
  absl::StatusOr<ChannelTerms> Admit(const Hello& theirs) override;
  void OnChannel(const Hello&, std::shared_ptr<ChannelEnd> channel) override {
    up_.channel = std::move(channel);
  }
  void OnRefused(const std::string& line) override { refused_.push_back(line); }

  void Listen(TcpListenerOptions options = {});

  // -- the dialling node
  std::shared_ptr<PendingDial> StartDial(uint16_t port, const Hello& hello,
                                         absl::Duration timeout = absl::Seconds(10),
                                         const std::string& host = "127.0.0.1");

  // Opens a channel, over `port` if that is a proxy's.
  void OpenChannel(uint16_t port = 0);

  // Ends what is still open: handlers must outlive their channels.
  void TearDown() override;

  boost::asio::io_context io_;
  Credentials credentials_;  // of who dials
  int slots_ = 4;
  absl::Duration alive_every_ = kAliveEvery;
  std::unique_ptr<TcpListener> listener_;
  End up_;
  End down_;
  std::optional<absl::Status> dialled_;
  std::vector<std::string> refused_;
};

}  // namespace waferstream
