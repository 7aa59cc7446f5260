#include "fabric/channel_flow.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"

namespace waferstream {

// -- out -----------------------------------------------------------------------------------------

void ChannelFlow::Send(const FrameHeader& header, const std::byte* payload, uint64_t token) {
  WS_CHECK(unspent_ > 0);
  --unspent_;
  ++queued_;
  waiting_.push_back({header, payload, token});
}

void ChannelFlow::Grant(const Credit& credit) {
  for (int c = 0; c < kSlotClasses; ++c) to_grant_.slots[c] += credit.slots[c];
}

std::optional<OutgoingFrame> ChannelFlow::Next() {
  const bool grants = to_grant_.slots[kSmall] + to_grant_.slots[kLarge] > 0;
  if (std::exchange(alive_due_, false) || grants) {
    const Credit grant = std::exchange(to_grant_, Credit{});
    FrameHeader header;
    header.kind = FrameKind::kCredit;
    header.epoch = terms_.epoch;
    header.range_lo = static_cast<uint32_t>(grant.slots[kSmall]);
    header.tile = static_cast<uint32_t>(grant.slots[kLarge]);
    return Number(header, nullptr);
  }
  if (waiting_.empty()) return std::nullopt;
  const Waiting next = waiting_.front();
  waiting_.pop_front();
  OutgoingFrame frame = Number(next.header, next.payload);
  frame.token = next.token;
  return frame;
}

OutgoingFrame ChannelFlow::Number(FrameHeader header, const std::byte* payload) {
  header.protocol = terms_.protocol;
  header.sequence = sequence_out_++;
  header.crc = FrameCrc(header, payload);
  return {.header = Encode(header), .payload = payload, .length = header.length, .token = {}};
}

// -- in ------------------------------------------------------------------------------------------

absl::StatusOr<FrameHeader> ChannelFlow::TakeHeader(const HeaderBytes& bytes) {
  ASSIGN_OR_RETURN(const FrameHeader header, Decode(bytes));
  if (header.protocol != terms_.protocol) {
    return absl::FailedPreconditionError(absl::StrCat(
        "a frame of protocol ", header.protocol, " on a channel of protocol ", terms_.protocol));
  }
  if (header.sequence != sequence_in_) {
    return absl::DataLossError(absl::StrCat("frame ", header.sequence, " arrived where frame ",
                                            sequence_in_, " was due (", Describe(header), ")"));
  }
  ++sequence_in_;
  if (header.epoch != terms_.epoch) {
    return absl::FailedPreconditionError(
        absl::StrCat(Describe(header), " on a channel of epoch ", terms_.epoch));
  }
  if (header.kind == FrameKind::kHello) {
    return absl::InvalidArgumentError("a second Hello on an open channel");
  }
  return header;
}

absl::StatusOr<Credit> ChannelFlow::TakeCredit(const FrameHeader& header) {
  if (header.length != 0) return absl::InvalidArgumentError("a credit frame with a payload");
  if (FrameCrc(header, nullptr) != header.crc) {
    return absl::DataLossError("checksum mismatch in a credit frame");
  }
  const int64_t granted = int64_t{header.range_lo} + header.tile;
  if (unspent_ + queued_ + granted > 2 * int64_t{terms_.peer_slots()}) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the peer granted %d slots beyond its window of %d", granted, terms_.peer_slots()));
  }
  unspent_ += granted;
  return Credit{.slots = {static_cast<int>(header.range_lo), static_cast<int>(header.tile)}};
}

absl::Status ChannelFlow::CheckPayload(const FrameHeader& header, const std::byte* payload) {
  const uint32_t crc = FrameCrc(header, payload);
  if (crc == header.crc) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrFormat("checksum mismatch in %s: the header says %08x, the bytes give %08x",
                      Describe(header), header.crc, crc));
}

}  // namespace waferstream
