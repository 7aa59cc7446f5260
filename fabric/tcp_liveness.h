// How long a TCP connection may be mute, and a link pass nothing on, before the adapter takes it
// for broken.
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

// Acknowledgements only say that somebody takes the bytes. A proxy, a NAT or a middlebox may take
// them for ever and pass none on; nor does it help that the other direction works. So each end
// sends a sign of life (a grant of no slots) every kAliveEvery, from the fabric's thread, whatever
// computes, and an end to which nothing at all has come for kSilentBeats times that ends the
// connection. Bytes count, not whole frames: a large tile on a slow link is progress. Beats are
// counted, not seconds: an end that was itself stopped finds what has come meanwhile before it
// complains.
//
// Five seconds, because the sign of life needs a thread of the peer that runs. A peer that hangs is
// found by its lease (1 s) long before; what only this finds is rare and must not be found wrongly
// on a machine that is merely overloaded.
inline constexpr absl::Duration kAliveEvery = absl::Seconds(1);
inline constexpr int kSilentBeats = 5;

}  // namespace waferstream
