// How much memory the control groups of this process allow it: a container's limit. What goes
// beyond is not refused by the system but ends the process, so it has to be asked about before.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace waferstream {

// The tightest of the limits on the way from the process's group to the root, bytes; cgroup v2's
// memory.max and v1's memory.limit_in_bytes. nullopt: there is none, or it cannot be read.
// `proc_file` and `root` are for tests.
std::optional<uint64_t> CgroupMemoryLimit(const std::string& proc_file = "/proc/self/cgroup",
                                          const std::string& root = "/sys/fs/cgroup");

}  // namespace waferstream
