#include "fabric/channel_flow.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/hash.h"
#include "base/status.h"

namespace waferstream {

// -- out -----------------------------------------------------------------------------------------

void ChannelFlow::Send(const FrameHeader& header, const std::byte* payload, uint64_t token,
                       bool lend) {
  WS_CHECK(unspent_ > 0);
  --unspent_;
  ++queued_;
  waiting_.push_back({.header = header, .payload = payload, .token = token, .lend = lend});
}

void ChannelFlow::Grant(const Credit& credit) {
  for (int c = 0; c < kSlotClasses; ++c) to_grant_.slots[c] += credit.slots[c];
}

std::optional<OutgoingFrame> ChannelFlow::Next() {
  const bool grants = to_grant_.slots[kSmall] + to_grant_.slots[kLarge] > 0;
  if (std::exchange(alive_due_, false) || grants) {
    const Credit grant = std::exchange(to_grant_, Credit{});
    FrameHeader header = Blank(FrameKind::kCredit);
    header.range_lo = static_cast<uint32_t>(grant.slots[kSmall]);
    header.tile = static_cast<uint32_t>(grant.slots[kLarge]);
    return OutgoingFrame{.header = header, .token = {}};
  }
  if (waiting_.empty()) return std::nullopt;
  OutgoingFrame next = waiting_.front();
  waiting_.pop_front();
  return next;
}

FrameHeader ChannelFlow::Blank(FrameKind kind) const {
  FrameHeader header;
  header.kind = kind;
  header.epoch = terms_.epoch;
  return header;
}

HeaderBytes ChannelFlow::Seal(FrameHeader& header, std::span<const std::byte> place,
                              std::span<const std::byte> payload) {
  header.protocol = terms_.protocol;
  header.sequence = sequence_out_++;
  const uint32_t crc = Crc32c(HeaderCrc(header), place.data(), place.size());
  header.crc = Crc32c(crc, payload.data(), payload.size());
  return Encode(header);
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
  if (header.kind > FrameKind::kGradient && !shares_memory_) {
    return absl::InvalidArgumentError(
        absl::StrCat(Describe(header), " on a channel that shares no memory"));
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
  return CheckCrc(header, FrameCrc(header, payload));
}

absl::Status ChannelFlow::CheckCrc(const FrameHeader& header, uint32_t crc) {
  if (crc == header.crc) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrFormat("checksum mismatch in %s: the header says %08x, the bytes give %08x",
                      Describe(header), header.crc, crc));
}

}  // namespace waferstream
