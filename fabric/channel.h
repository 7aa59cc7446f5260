// A channel: ordered, reliable, credit-controlled frames between two roles. Adapters (tcp, inproc)
// stand behind this interface; a role sees nothing else of the network.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/credit.h"
#include "fabric/frame.h"

namespace waferstream {

// What the plan says about one end of one channel.
struct ChannelTerms {
  uint32_t epoch = 0;  // of every frame; another one is a violation
  // What the peer may have granted at any time. A grant beyond it is a violation: it is what bounds
  // the frames queued here.
  Credit peer_window = {};
  // The class of the slot that a frame of this tile takes. Null: nobody asks.
  std::function<SlotClass(uint32_t tile)> slot_of = nullptr;
  uint16_t protocol = kHelloProtocol;  // that both ends agreed on; the fabric's

  // Both classes together.
  int peer_slots() const { return peer_window.slots[kSmall] + peer_window.slots[kLarge]; }
};

// The receiving side of a channel's user. All calls come from the fabric's loop, never from
// inside a call into ChannelEnd.
class ChannelHandler {
 public:
  virtual ~ChannelHandler() = default;

  // A tile or gradient frame is about to be received: where its payload goes, exactly header.length
  // bytes, untouched until OnFrame or OnClosed. An error tears the channel down with it.
  virtual absl::StatusOr<std::span<std::byte>> BufferFor(const FrameHeader& header) = 0;
  // The payload is here: in that buffer, with a checksum that is right; or, if the sender lends it,
  // perhaps where it lies in the sender's memory. Then it is to be read there, and to be given back
  // (ChannelEnd::Return). An error tears the channel down.
  virtual absl::Status OnFrame(const FrameHeader& header, const std::byte* payload) = 0;
  virtual void OnCredit(const Credit& credit) = 0;
  // The fabric is done with the payload of the Send with this token. Not always in their order.
  virtual void OnSent(uint64_t token) = 0;
  // The last call, exactly once: the fabric reads and writes none of the buffers any more. Payloads
  // not yet sent are dropped without OnSent. OK: this end called Close(). ABORTED: the peer closed,
  // in order or because its process ended, which cannot be told apart. Otherwise why it broke.
  virtual void OnClosed(const absl::Status& why) = 0;
};

// One end of a channel. Lives on the fabric's loop; every call is made there.
// Lifecycle: Open -> (Send | Grant)* -> Close, then OnClosed. Calls after Close, or after the
// channel broke, do nothing. Danger: the handler and all buffers must live until OnClosed; and this
// object as long as somebody reads a lent payload, also after OnClosed: it keeps that memory
// mapped.
class ChannelEnd {
 public:
  virtual ~ChannelEnd() = default;

  // Begins to receive. Called once.
  virtual void Open(ChannelHandler& handler) = 0;
  // Queues a tile or gradient frame behind those before it, against one granted slot. `header`
  // needs no sequence and no crc. `payload` is header.length bytes. `lend`: the receiver may read
  // it in place and keep it for as long as it likes; OnSent waits for that. Otherwise OnSent waits
  // for nobody but the fabric.
  virtual void Send(const FrameHeader& header, const std::byte* payload, uint64_t token,
                    bool lend) = 0;
  // The lent payload of the frame with this sequence is not read any more; once for each.
  virtual void Return(uint64_t sequence) = 0;
  // Grants the peer slots. Overtakes queued frames.
  virtual void Grant(const Credit& credit) = 0;
  virtual void Close() = 0;

  // What carries its payloads, for the log: "tcp", "shm", "mpi".
  virtual std::string carrier() const = 0;
};

}  // namespace waferstream
