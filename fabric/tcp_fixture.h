// What the tests of the tcp adapter share: two ends of a channel on the loopback interface, both on
// one io_context that the test drives.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/credentials.h"
#include "fabric/channel_fixture.h"
#include "fabric/fabric.h"
#include "fabric/tcp_dial.h"
#include "fabric/tcp_listener.h"
#include "fabric/tcp_liveness.h"

namespace waferstream {

// `up_` is the listener's end, `down_` the dialler's.
class TcpTest : public ::testing::Test, public AcceptHandler {
 protected:
  // -- the listening node
  absl::StatusOr<ChannelTerms> Admit(const Hello& theirs) override {
    return AdmitSome(theirs, slots_);
  }
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
  std::string peer_role_;    // that it expects
  int slots_ = 4;
  absl::Duration alive_every_ = kAliveEvery;
  std::unique_ptr<TcpListener> listener_;
  End up_;
  End down_;
  std::optional<absl::Status> dialled_;
  std::vector<std::string> refused_;
};

}  // namespace waferstream
