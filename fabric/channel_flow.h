// What every channel keeps to, whatever carries its frames: numbers, epochs, checksums and credit.
// Private to the adapters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/credit.h"
#include "fabric/channel.h"
#include "fabric/frame.h"

namespace waferstream {

// A frame on its way out.
struct OutgoingFrame {
  FrameHeader header;  // to be sealed
  const std::byte* payload = nullptr;
  std::optional<uint64_t> token;  // of Send; null: a grant
  bool lend = false;
};

// One end's both directions. Moves no bytes. Not thread-safe.
//
// Invariants:
//   1. Grants not yet sent are added up, never queued.
//   2. What the peer granted and is not used, and the frames that have not left, are together at
//      most 2 * peer_slots. A peer that keeps to its window cannot exceed it: its window covers
//      what is not used and, at the most, all frames that it already has but whose leaving has not
//      been seen here.
class ChannelFlow {
 public:
  // `shares_memory`: whether frames of the kinds for that may come.
  explicit ChannelFlow(const ChannelTerms& terms, bool shares_memory = false)
      : terms_(terms), shares_memory_(shares_memory) {}

  // -- out: as of ChannelEnd
  void Send(const FrameHeader& header, const std::byte* payload, uint64_t token, bool lend);
  void Grant(const Credit& credit);
  // A sign of life is due: a grant, if only of nothing.
  void SayAlive() { alive_due_ = true; }
  // What leaves next: grants overtake payloads. Null: nothing.
  std::optional<OutgoingFrame> Next();
  // Numbers the frame and takes its checksum, over what follows the header too: in the order in
  // which frames leave, each once.
  HeaderBytes Seal(FrameHeader& header, std::span<const std::byte> payload) {
    return Seal(header, {}, payload);
  }
  // `place`: goes before the payload.
  HeaderBytes Seal(FrameHeader& header, std::span<const std::byte> place,
                   std::span<const std::byte> payload);
  // As of this channel.
  FrameHeader Blank(FrameKind kind) const;
  // The payload of a frame that Next gave has left.
  void OnLeft() { --queued_; }

  // -- in: every error is a violation that ends the channel
  absl::StatusOr<FrameHeader> TakeHeader(const HeaderBytes& bytes);
  // Of a frame of kind kCredit. What may be told to the handler; nothing of a sign of life.
  absl::StatusOr<Credit> TakeCredit(const FrameHeader& header);
  // `payload`: header.length bytes.
  static absl::Status CheckPayload(const FrameHeader& header, const std::byte* payload);
  // `crc`: of what came.
  static absl::Status CheckCrc(const FrameHeader& header, uint32_t crc);

 private:
  const ChannelTerms terms_;
  const bool shares_memory_;
  uint64_t sequence_in_ = 1;  // 0 was the Hello
  uint64_t sequence_out_ = 1;
  int64_t unspent_ = 0;  // granted by the peer
  int64_t queued_ = 0;   // payloads that have not left
  Credit to_grant_;
  bool alive_due_ = false;
  std::deque<OutgoingFrame> waiting_;
};

}  // namespace waferstream
