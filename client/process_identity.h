// Names one process beyond its number: numbers are used again, start times are not.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace waferstream {

struct ProcessIdentity {
  pid_t pid = 0;
  uint64_t start_ticks = 0;  // clock ticks since the boot (field 22 of /proc/PID/stat)

  friend bool operator==(const ProcessIdentity&, const ProcessIdentity&) = default;
};

// NOT_FOUND: no such process.
absl::StatusOr<ProcessIdentity> IdentityOf(pid_t pid);

// Whether exactly this process runs (a zombie does not).
bool IsRunning(const ProcessIdentity& process);

// SIGTERM, up to `grace`, then SIGKILL, all to exactly this process, which need not be a child;
// returns when it is gone. Nothing happens if it is gone already. PERMISSION_DENIED: another
// user's.
absl::Status EndProcess(const ProcessIdentity& process, absl::Duration grace);

// Of this boot: start times of another one mean nothing.
std::string BootId();

}  // namespace waferstream
