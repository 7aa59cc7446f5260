// Links that swallow packets, for tests: without root, without touching the host's network.
#pragma once

#include "absl/status/status.h"

namespace waferstream {

// Gives this process, and those that it starts from now on, a network of its own with nothing but a
// loopback interface, in which it may do everything. Must be called while the process has one
// thread. Again: nothing. PERMISSION_DENIED or the like, with the reason, where the system does not
// allow it; a test then skips.
absl::Status EnterOwnNetwork();
// The same as root of that network, which the programs that it starts are, too.
absl::Status EnterOwnNetworkAsRoot();

// From now on every packet for this TCP socket vanishes before TCP sees it: nothing is acknowledged
// and nothing reset; for a listening socket, nobody gets through. Needs EnterOwnNetwork (or root).
absl::Status MuteSocket(int fd);

}  // namespace waferstream
