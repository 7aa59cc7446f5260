#include "base/unique_id.h"

#include <sys/random.h>

#include "base/status.h"

namespace waferstream {

uint64_t RandomBits() {
  uint64_t bits = 0;
  // So few bytes come whole and without an error once the system has booted.
  WS_CHECK(getrandom(&bits, sizeof bits, 0) == sizeof bits);
  return bits;
}

std::string Base32(uint64_t bits) {
  constexpr char kDigits[] = "0123456789abcdefghjkmnpqrstvwxyz";
  std::string text(13, '0');
  for (auto at = text.rbegin(); at != text.rend(); ++at, bits >>= 5) *at = kDigits[bits & 31];
  return text;
}

}  // namespace waferstream
