// The end of a text file.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace waferstream {

inline constexpr uint64_t kLogTailBytesMax = uint64_t{1} << 20;

// The last whole lines of the file that fit into `bytes_max` (at most kLogTailBytesMax, which 0
// stands for). Empty for an empty path. NOT_FOUND: no such file.
absl::StatusOr<std::string> ReadTail(const std::string& path, uint64_t bytes_max);

}  // namespace waferstream
