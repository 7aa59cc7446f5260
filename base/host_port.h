// Network addresses as people write them: host:port, with an IPv6 literal in brackets.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace waferstream {

struct HostPort {
  std::string host;  // a name or an address, without brackets
  uint16_t port = 0;
};

// "127.0.0.1:80", "[::1]:80", "localhost:80".
std::string JoinHostPort(const std::string& host, int port);

// The inverse, for a port of 1 to 65535. INVALID_ARGUMENT: "'...' is not host:port".
absl::StatusOr<HostPort> SplitHostPort(const std::string& address);

// The address that a name stands for on this host, as a literal: IPv4 if it has one, because that
// is what everybody reaches. A literal is itself. INVALID_ARGUMENT: "'...' is not a host: ...".
absl::StatusOr<std::string> ResolveHost(const std::string& host);

// What a literal says about who reaches it: nobody from another host; through any interface.
bool IsLoopback(const std::string& literal);
bool IsWildcard(const std::string& literal);

}  // namespace waferstream
