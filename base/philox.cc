#include "base/philox.h"

#include <cmath>
#include <numbers>

namespace waferstream {
namespace {

constexpr uint32_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
constexpr int kRounds = 10;

}  // namespace

std::array<uint32_t, 4> Philox(uint64_t seed, Purpose purpose, uint64_t step, uint64_t index) {
  // 64 key bits and 128 counter bits: the purpose shares its word with the step's upper half, which
  // leaves 56 bits to the step.
  std::array<uint32_t, 4> c = {
      static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), static_cast<uint32_t>(step),
      (static_cast<uint32_t>(step >> 32) & 0xFFFFFFu) | (static_cast<uint32_t>(purpose) << 24)};
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t p0 = uint64_t{kMultiplier0} * c[0];
    const uint64_t p1 = uint64_t{kMultiplier1} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(p0)};
    k0 += kWeyl0;
    k1 += kWeyl1;
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
