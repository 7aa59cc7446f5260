// For tests: where a process listens, as the kernel says.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace waferstream {

// The local address of every listening TCP socket of the process, in the hex digits of
// /proc/PID/net/tcp and tcp6.
std::vector<std::string> ListeningAddresses(pid_t pid);

// Whether such an address is one of the loopback interface, in IPv4, IPv6 or one within the other.
bool IsLoopbackHex(const std::string& address);

}  // namespace waferstream
