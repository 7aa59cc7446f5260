// Sizes in bytes as people give them: in a job file, and to a flag.
#pragma once

#include "absl/status/statusor.h"
#include "base/user_input.h"

namespace waferstream {

inline constexpr Unit kByteUnits[] = {
    {"B", 1},     {"KiB", 1u << 10}, {"MiB", 1u << 20},    {"GiB", 1u << 30},
    {"KB", 1000}, {"MB", 1000'000},  {"GB", 1000'000'000},
};

inline constexpr char kByteSizeWanted[] =
    "a whole number of bytes, with B, KiB, MiB, GiB, KB, MB or GB";

// INVALID_ARGUMENT, naming `field`.
inline absl::StatusOr<uint64_t> ParseByteSize(absl::string_view field, absl::string_view text,
                                              const Bounds& bounds) {
  return ParseWhole(field, text, bounds, kByteUnits, kByteSizeWanted);
}

}  // namespace waferstream
