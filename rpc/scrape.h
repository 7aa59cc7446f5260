// For tests: what a Prometheus gets from a process, and what it would say about it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/tls_identity.h"

namespace waferstream {

// The body of GET `path`; "HTTP ..." in its place if the answer is not 200; empty: nobody answers.
std::string Scrape(const std::string& address, uint16_t port, const std::string& path = "/metrics");

// The same over TLS, as whoever `me` is. Empty, too, if one of the two does not believe the other.
std::string ScrapeTls(const TlsIdentity& me, const std::string& address, uint16_t port);

// What `promtool check metrics` has to say; empty: nothing. Nullopt: it is not installed.
std::optional<std::string> PromtoolSays(const std::string& metrics);

// The value of the sample that begins with `name`, labels included: "jobs{state=\"done\"}".
std::optional<double> SampleOf(const std::string& metrics, const std::string& name);

}  // namespace waferstream
