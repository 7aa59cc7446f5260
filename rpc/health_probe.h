// For tests: a process's health, as Kubernetes' probes ask it.
#pragma once

#include <cstdint>
#include <string>

namespace waferstream {

enum Health { kUnknownService = -1, kUnknown = 0, kServing = 1, kNotServing = 2 };

// On 127.0.0.1. Fails the test if nobody answers.
Health Ask(uint16_t port, const std::string& service);

// Asks until it is so; false: it does not become so in half a minute.
bool Becomes(uint16_t port, const std::string& service, Health health);

}  // namespace waferstream
