// Numbers as people read them.
#pragma once

#include <cstdint>
#include <string>

namespace waferstream {

// "512 B", "1.5 KiB", "256.0 MiB".
std::string HumanBytes(uint64_t bytes);

// "950", "12.3k", "4.56M", "1.20B": about three digits.
std::string HumanCount(double count);

// "0.42s", "12s", "3m05s", "2h07m", "3d04h".
std::string HumanSeconds(double seconds);

// "2026-01-31 23:59:59" in UTC.
std::string HumanTime(double unix_s);

}  // namespace waferstream
