// The two element types that travel and are computed with.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace waferstream {

enum class Dtype : uint8_t { kF32 = 0, kBf16 = 1 };

constexpr size_t BytesOf(Dtype dtype) { return dtype == Dtype::kF32 ? 4 : 2; }

// The upper half of an fp32.
struct Bf16 {
  uint16_t bits;
};

inline float ToFloat(Bf16 x) { return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16); }

// Round to nearest, ties to even; a NaN stays a NaN.
inline Bf16 ToBf16(float x) {
  const uint32_t u = std::bit_cast<uint32_t>(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) return {static_cast<uint16_t>((u >> 16) | 0x40)};
  return {static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1)) >> 16)};
}

}  // namespace waferstream
