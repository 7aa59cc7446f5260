#include "base/philox.h"

#include <cmath>
#include <numbers>

namespace waferstream {

PhiloxWords Philox(uint64_t seed, Purpose purpose, uint64_t step, uint64_t index) {
  PhiloxWords c = PhiloxCounter(purpose, step, index);
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const uint64_t p0 = uint64_t{kPhiloxMultiplier0} * c[0];
    const uint64_t p1 = uint64_t{kPhiloxMultiplier1} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(p0)};
    k0 += kPhiloxWeyl0;
    k1 += kPhiloxWeyl1;
  }
  return c;
}

std::array<double, 2> Normal(uint64_t seed, Purpose purpose, uint64_t step, uint64_t index) {
  const auto bits = Philox(seed, purpose, step, index);
  const double radius = std::sqrt(-2.0 * std::log(UnitInterval(bits[0])));
  const double angle = 2.0 * std::numbers::pi * UnitInterval(bits[1]);
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

}  // namespace waferstream
