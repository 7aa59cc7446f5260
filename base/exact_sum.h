// A sum of doubles without rounding, so that it is the same however its terms are spread over
// machines and in whatever order they come; rounded once, at its end.
//
// The sum is kept as one integer that counts multiples of 2^-1074, the smallest double, in limbs of
// 32 bits (Kulisch's accumulator). A double touches three of them.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "absl/status/status.h"

namespace waferstream {

// Of values that are finite and not negative. Not thread-safe.
class ExactSum {
 public:
  // The largest double has bit 2097, which leaves 46 for the number of terms and a limb for that of
  // sums that travelled.
  static constexpr int kLimbs = 68;

  void Add(double value);
  void Add(const ExactSum& other);

  // The nearest double, ties to even; infinity beyond the largest.
  double Rounded() const;

  // What travels: from limb first() to the highest that is not zero. Empty: zero.
  int first() const;
  std::span<const uint32_t> limbs() const;
  // Adds what travelled. INVALID_ARGUMENT: it is no sum; nothing is added.
  absl::Status Add(uint32_t first, std::span<const uint32_t> limbs);

  friend bool operator==(const ExactSum&, const ExactSum&) = default;

 private:
  void AddAt(size_t limb, uint64_t value);
  bool Bit(int at) const { return limbs_[at / 32] >> (at % 32) & 1; }

  std::array<uint32_t, kLimbs> limbs_ = {};  // lowest first
};

}  // namespace waferstream
