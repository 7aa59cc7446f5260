#include "base/host_port.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace waferstream {
namespace {

// Of names and literals ('%' comes before the zone of a link-local address); everything else has a
// meaning of its own to somebody who reads an address.
bool IsHostCharacter(char c) {
  return absl::ascii_isalnum(c) || (c != 0 && std::strchr(".-_:%", c) != nullptr);
}

bool IsHost(const std::string& host) {
  return !host.empty() && std::all_of(host.begin(), host.end(), IsHostCharacter);
}

bool Contains(const std::string& text, char c) { return text.find(c) != std::string::npos; }

// An IPv4 address as the IPv6 one that stands for it, so that there is one kind to look at.
std::optional<in6_addr> Parse(const std::string& literal) {
  const std::string text = literal.substr(0, literal.find('%'));
  in6_addr address = {};
  if (inet_pton(AF_INET6, text.c_str(), &address) == 1) return address;
  if (inet_pton(AF_INET6, absl::StrCat("::ffff:", text).c_str(), &address) == 1) return address;
  return std::nullopt;
}

// With the resolver's words. UNAVAILABLE: it could not ask; INVALID_ARGUMENT: there is none.
absl::StatusOr<std::string> FirstOf(const std::string& host, int family) {
  addrinfo hints = {};
  hints.ai_family = family;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  int error = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> guard(found, [](addrinfo* list) {
    if (list != nullptr) freeaddrinfo(list);
  });
  char literal[NI_MAXHOST];
  if (error == 0) {
    error = getnameinfo(found->ai_addr, found->ai_addrlen, literal, sizeof literal, nullptr, 0,
                        NI_NUMERICHOST);
  }
  if (error == 0) return std::string(literal);
  const auto code =
      error == EAI_AGAIN ? absl::StatusCode::kUnavailable : absl::StatusCode::kInvalidArgument;
  return absl::Status(code, absl::StrCat("'", host, "' is not a host: ", gai_strerror(error)));
}

}  // namespace

std::string JoinHostPort(const std::string& host, int port) {
  return Contains(host, ':') ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
}

absl::StatusOr<HostPort> SplitHostPort(const std::string& address) {
  const auto error = absl::InvalidArgumentError(absl::StrCat("'", address, "' is not host:port"));
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) return error;
  std::string host = address.substr(0, colon);
  const std::string digits = address.substr(colon + 1);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  int port = 0;
  const bool is_number =
      !digits.empty() && std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit);
  if (!is_number || !absl::SimpleAtoi(digits, &port) || port < 1 || port > 65535) return error;
  if (!IsHost(host) || bracketed != Contains(host, ':')) return error;
  return HostPort{.host = host, .port = static_cast<uint16_t>(port)};
}

absl::StatusOr<std::string> ResolveHost(const std::string& host) {
  if (!IsHost(host)) return absl::InvalidArgumentError(absl::StrCat("'", host, "' is not a host"));
  absl::StatusOr<std::string> v4 = FirstOf(host, AF_INET);
  return absl::IsInvalidArgument(v4.status()) ? FirstOf(host, AF_UNSPEC) : v4;
}

absl::Status CheckHostOf(const std::string& field, const std::string& address) {
  absl::Status known = SplitHostPort(address).status();
  if (known.ok()) known = ResolveHost(SplitHostPort(address)->host).status();
  if (!absl::IsInvalidArgument(known)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", known.message()));
}

bool IsLoopback(const std::string& literal) {
  const std::optional<in6_addr> address = Parse(literal);
  if (!address) return false;
  return IN6_IS_ADDR_V4MAPPED(&*address) ? address->s6_addr[12] == 127
                                         : IN6_IS_ADDR_LOOPBACK(&*address);
}

bool IsWildcard(const std::string& literal) {
  const std::optional<in6_addr> address = Parse(literal);
  if (!address) return false;
  const uint8_t* v4 = &address->s6_addr[12];
  return IN6_IS_ADDR_V4MAPPED(&*address) ? std::all_of(v4, v4 + 4, [](uint8_t b) { return b == 0; })
                                         : IN6_IS_ADDR_UNSPECIFIED(&*address);
}

}  // namespace waferstream
