// For tests: several hosts on this one, joined by links of a stated rate.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/fd.h"

namespace waferstream {

// What a host's link carried so far, headers included.
struct LinkBytes {
  uint64_t sent = 0;  // by the host
  uint64_t received = 0;
};

// A host is a network namespace with one link to a bridge; it has an IPv4 and an IPv6 address, and
// a name that a DNS server at the bridge knows. Hosts share everything else, files too. The rate
// holds for each direction of each link (a token bucket, tc-tbf), nothing limits the bridge, and
// what stays on one host is not limited.
//
// Make moves the calling process to the bridge, for good: from there it reaches every host, and
// nothing outside. Namespaces, links and mounts have no name outside of the process and its
// children, so the kernel takes them away with the last of these, however they end; processes on a
// host, and the DNS server, end with the thread that made the network. That thread is the only one
// that may use this.
class HostNetwork {
 public:
  // UNAVAILABLE: this machine does not have it (user namespaces, `ip`, `tc`, `dnsmasq`, the
  // kernel's part), with the reason. Needs no root. The process has one thread.
  static absl::StatusOr<std::unique_ptr<HostNetwork>> Make(int hosts, double mbit_per_s);
  ~HostNetwork();

  static std::string NameOf(int host);  // "h3.waferstream.test"
  static std::string Ipv4Of(int host);  // literals
  static std::string Ipv6Of(int host);
  // A name that the DNS server knows not to exist.
  static constexpr const char* kNobody = "nobody.waferstream.test";

  // For a child process before it becomes a program: moves it to the host. Ends it on failure.
  std::function<void()> On(int host) const;

  // Takes the carrier away, as if the cable were pulled; addresses stay.
  absl::Status Cut(int host);
  absl::Status Mend(int host);

  absl::StatusOr<LinkBytes> BytesOf(int host) const;

 private:
  HostNetwork() = default;
  absl::Status AddHost(double mbit_per_s);
  absl::Status StartDns();

  std::vector<Fd> hosts_;  // their namespaces
  pid_t dns_ = -1;
};

}  // namespace waferstream
