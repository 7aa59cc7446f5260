// The sockets of another process, in the test's hands.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <set>

#include "absl/status/statusor.h"

namespace waferstream {

// Every packet for the TCP connections that the process has now vanishes from here on, except for
// connections with one of `spared_ports` at either end. Connections that it opens later work: the
// fault is that of a firewall which forgot its state. Answers how many were muted.
// PERMISSION_DENIED or the like where the system does not allow it (MuteSocket, pidfd_getfd).
absl::StatusOr<int> MuteConnections(pid_t pid, const std::set<uint16_t>& spared_ports);

}  // namespace waferstream
