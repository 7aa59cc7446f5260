// How long a TCP connection may be mute before the adapter takes it for broken.
#pragma once

#include "absl/time/time.h"

namespace waferstream {

// A link that swallows packets sends no reset: without a limit the kernel goes on for 15 minutes.
// Two seconds, because
//   - it is the least that keep-alive can notice on an idle connection: its clock counts seconds,
//     and it takes one to become suspicious and one to wait for an answer;
//   - it is longer than the default lease (1 s), so that when a node hangs or vanishes its lease
//     says so first, and the broken channels are no news;
//   - it leaves a lost packet three retransmissions (after 0.2, 0.6 and 1.4 s).
// The limit also ends a connection whose receiver does not read for so long. Credits make that a
// hung process, never a slow one: whoever granted a slot has the buffer ready.
inline constexpr absl::Duration kTcpDeadAfter = absl::Seconds(2);

}  // namespace waferstream
