// How channels come to be: one end dials, the other admits. Adapters (tcp; the simulation's) stand
// behind this interface.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "fabric/channel.h"
#include "proto/fabric.pb.h"

namespace waferstream {

// Decides about incoming connections. All calls come from the fabric's loop.
class AcceptHandler {
 public:
  virtual ~AcceptHandler() = default;

  // Whether the dialler's Hello agrees with what is prepared here. An error closes the connection;
  // the dialler, who cannot know whether this node is merely not ready yet, tries again.
  virtual absl::StatusOr<ChannelTerms> Admit(const Hello& theirs) = 0;
  // The admitted channel, after this end's Hello has left; not yet opened. By now the epoch may be
  // gone; then drop it.
  virtual void OnChannel(const Hello& theirs, std::shared_ptr<ChannelEnd> channel) = 0;
  // A connection was closed before it became a channel: one line for the log.
  virtual void OnRefused(const std::string& line) = 0;
};

struct DialRequest {
  std::string host;
  uint16_t port = 0;
  Hello hello;  // this end's; the version is filled in
  ChannelTerms terms;
  absl::Duration timeout;      // of all attempts together
  std::string peer_role = {};  // what the peer's certificate must say, where there are any
};

class PendingDial {
 public:
  virtual ~PendingDial() = default;
  virtual void Cancel() = 0;
};

// Accepts until destroyed.
class FabricListener {
 public:
  virtual ~FabricListener() = default;
  virtual uint16_t port() const = 0;
};

// One process's way to the others. Every call is made on its loop.
class Fabric {
 public:
  // Exactly one call, never from inside Dial or Cancel. The channel is not yet opened.
  // DEADLINE_EXCEEDED: the last attempt's reason is in the message. FAILED_PRECONDITION: the peer
  // speaks another protocol version. CANCELLED: Cancel() was called.
  using Dialled = std::function<void(absl::StatusOr<std::shared_ptr<ChannelEnd>>)>;

  virtual ~Fabric() = default;

  // Dials until the peer agrees, again and again, since a peer that is not prepared yet refuses.
  virtual std::shared_ptr<PendingDial> Dial(DialRequest request, Dialled done) = 0;

  // UNAVAILABLE, naming the port, when it cannot be had. The handler outlives the listener.
  virtual absl::StatusOr<std::unique_ptr<FabricListener>> Listen(AcceptHandler& handler) = 0;
};

}  // namespace waferstream
