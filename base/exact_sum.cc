#include "base/exact_sum.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace waferstream {
namespace {

constexpr int kMantissaBits = 53;
constexpr int kLowestExponent = -1074;  // of bit 0

}  // namespace

void ExactSum::AddAt(size_t limb, uint64_t value) {
  for (; value != 0; ++limb) {
    WS_CHECK(limb < kLimbs);
    value += limbs_[limb];
    limbs_[limb] = static_cast<uint32_t>(value);
    value >>= 32;
  }
}

void ExactSum::Add(double value) {
  WS_CHECK(std::isfinite(value) && value >= 0);
  if (value == 0) return;
  const auto bits = std::bit_cast<uint64_t>(value);
  const int exponent = static_cast<int>(bits >> (kMantissaBits - 1));  // biased; 0: denormal
  uint64_t mantissa = bits & ((uint64_t{1} << (kMantissaBits - 1)) - 1);
  if (exponent > 0) mantissa |= uint64_t{1} << (kMantissaBits - 1);
  const int shift = exponent > 0 ? exponent - 1 : 0;
  const size_t limb = static_cast<size_t>(shift / 32);
  const uint64_t low = (mantissa & 0xffffffff) << (shift % 32);
  const uint64_t high = (mantissa >> 32) << (shift % 32);
  AddAt(limb, low);
  AddAt(limb + 1, high);
}

void ExactSum::Add(const ExactSum& other) {
  for (size_t limb = 0; limb < kLimbs; ++limb) AddAt(limb, other.limbs_[limb]);
}

double ExactSum::Rounded() const {
  const std::span<const uint32_t> used = limbs();
  if (used.empty()) return 0;
  const int top = 32 * (first() + static_cast<int>(used.size())) - std::countl_zero(used.back());
  const int lowest = std::max(0, top - kMantissaBits);  // bits [lowest, top) are kept
  uint64_t mantissa = 0;
  for (int at = top - 1; at >= lowest; --at) mantissa = mantissa << 1 | Bit(at);
  if (lowest > 0 && Bit(lowest - 1)) {
    const bool beyond_half = 32 * first() + std::countr_zero(used.front()) < lowest - 1;
    mantissa += beyond_half || mantissa % 2 == 1;
  }
  return std::ldexp(static_cast<double>(mantissa), lowest + kLowestExponent);
}

int ExactSum::first() const {
  int limb = 0;
  while (limb < kLimbs && limbs_[limb] == 0) ++limb;
  return limb == kLimbs ? 0 : limb;
}

std::span<const uint32_t> ExactSum::limbs() const {
  int end = kLimbs;
  while (end > 0 && limbs_[end - 1] == 0) --end;
  return end == 0 ? std::span<const uint32_t>() : std::span(limbs_).subspan(first(), end - first());
}

absl::Status ExactSum::Add(uint32_t first, std::span<const uint32_t> limbs) {
  if (first >= kLimbs || limbs.size() > kLimbs - 1 - first) {
    return absl::InvalidArgumentError(
        absl::StrCat("a sum of ", limbs.size(), " limbs from limb ", first));
  }
  for (size_t i = 0; i < limbs.size(); ++i) AddAt(first + i, limbs[i]);
  return absl::OkStatus();
}

}  // namespace waferstream
