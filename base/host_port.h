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
// UNAVAILABLE: nobody could say; the name server does not answer. Waits for it: seconds.
absl::StatusOr<std::string> ResolveHost(const std::string& host);

// For whoever is to call `address`, host:port, which a flag named `field` gave: INVALID_ARGUMENT,
// beginning with the field, if it is certain now that nobody is there, because the host's name
// stands for nothing. Whatever may change while one waits is OK.
absl::Status CheckHostOf(const std::string& field, const std::string& address);

// What a literal says about who reaches it: nobody from another host; through any interface.
bool IsLoopback(const std::string& literal);
bool IsWildcard(const std::string& literal);

}  // namespace waferstream
