// Which protocol (base/version.h) two processes talk in.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace waferstream {

struct ProtocolRange {
  uint32_t oldest = 0;
  uint32_t newest = 0;

  // "1", "1 to 2".
  std::string ToString() const;
};

// One end, as the other one's message says it, or as it is.
struct ProtocolSpeaker {
  std::string name;  // for people: "node w0 (version 0.1.0)"
  ProtocolRange protocols;
};

// Of this build.
ProtocolRange OwnProtocols();

// As a message says it. Those of before there was a choice say the newest alone.
ProtocolRange ProtocolsOf(uint32_t newest, uint32_t oldest);

// The lower of the two newest, if both speak it; whichever end asks. FAILED_PRECONDITION, one line:
// they have none in common; with both ranges, and who is to be upgraded first.
absl::StatusOr<uint32_t> AgreeOnProtocol(const ProtocolSpeaker& one, const ProtocolSpeaker& other);

}  // namespace waferstream
