// Counter-based randomness: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1,
// 2, 3", SC 2011). A value depends on (seed, purpose, step, index) and on nothing else, so any
// process draws the same one.
#pragma once

#include <array>
#include <cstdint>

namespace waferstream {

// What a draw is for; part of the key, so two purposes never share a value.
enum class Purpose : uint32_t {
  kInitialise = 1,
  kShuffle = 2,
  kSample = 3,
  kFault = 4,
  kVerify = 5,
  kValidation = 6,
  kDropout = 7,
  kMixture = 8,
};

using PhiloxWords = std::array<uint32_t, 4>;

inline constexpr uint32_t kPhiloxMultiplier0 = 0xD2511F53, kPhiloxMultiplier1 = 0xCD9E8D57;
inline constexpr uint32_t kPhiloxWeyl0 = 0x9E3779B9, kPhiloxWeyl1 = 0xBB67AE85;
inline constexpr int kPhiloxRounds = 10;

// 64 key bits, the seed, and 128 counter bits: the purpose shares its word with the step's upper
// half, which leaves 56 bits to the step.
constexpr PhiloxWords PhiloxCounter(Purpose purpose, uint64_t step, uint64_t index) {
  return {static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32),
          static_cast<uint32_t>(step),
          (static_cast<uint32_t>(step >> 32) & 0xFFFFFFu) | (static_cast<uint32_t>(purpose) << 24)};
}

// Four independent 32-bit values.
PhiloxWords Philox(uint64_t seed, Purpose purpose, uint64_t step, uint64_t index);

// Uniform in (0, 1], 32 bits.
inline double UnitInterval(uint32_t bits) { return (bits + 1.0) * 0x1p-32; }

// Two independent standard normal values (Box-Muller, in double precision).
std::array<double, 2> Normal(uint64_t seed, Purpose purpose, uint64_t step, uint64_t index);

}  // namespace waferstream
