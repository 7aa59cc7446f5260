// Names that nobody else in the world gives to something else.
#pragma once

#include <cstdint>
#include <string>

namespace waferstream {

// 64 bits from the system's random source; thread-safe.
uint64_t RandomBits();

// 13 characters of [0-9a-z] without i, l, o and u, which are misread; the same bits give the same.
std::string Base32(uint64_t bits);

}  // namespace waferstream
