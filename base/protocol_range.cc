#include "base/protocol_range.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/version.h"

namespace waferstream {

std::string ProtocolRange::ToString() const {
  return oldest == newest ? absl::StrCat(newest) : absl::StrCat(oldest, " to ", newest);
}

ProtocolRange OwnProtocols() { return {OldestProtocol(), NewestProtocol()}; }

ProtocolRange ProtocolsOf(uint32_t newest, uint32_t oldest) {
  return {oldest == 0 ? newest : oldest, newest};
}

absl::StatusOr<uint32_t> AgreeOnProtocol(const ProtocolSpeaker& one, const ProtocolSpeaker& other) {
  const uint32_t chosen = std::min(one.protocols.newest, other.protocols.newest);
  if (chosen > 0 && chosen >= std::max(one.protocols.oldest, other.protocols.oldest)) return chosen;
  const ProtocolSpeaker& older = one.protocols.newest < other.protocols.newest ? one : other;
  return absl::FailedPreconditionError(
      absl::StrCat(one.name, " speaks protocol ", one.protocols.ToString(), ", and ", other.name,
                   " ", other.protocols.ToString(), ": upgrade ", older.name, " first"));
}

}  // namespace waferstream
