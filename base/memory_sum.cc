#include "base/memory_sum.h"

#include <cstring>

#include "base/hash.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "base/memory_sum.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace waferstream {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::CappedTag<uint32_t, MemorySums::kLanes>;
constexpr size_t kLanes = hn::MaxLanes(Tag());
constexpr size_t kVectors = MemorySums::kLanes / kLanes;

void AddRows(const std::byte* data, size_t rows, MemorySums& sums) {
  const Tag d;
  hn::Vec<Tag> once[kVectors], running[kVectors];
#pragma GCC unroll 4
  for (size_t v = 0; v < kVectors; ++v) {
    once[v] = hn::Load(d, sums.once + v * kLanes);
    running[v] = hn::Load(d, sums.running + v * kLanes);
  }
  const auto* words = reinterpret_cast<const uint32_t*>(data);
  for (size_t row = 0; row < rows; ++row, words += MemorySums::kLanes) {
#pragma GCC unroll 4
    for (size_t v = 0; v < kVectors; ++v) {
      once[v] = hn::Add(once[v], hn::LoadU(d, words + v * kLanes));
      running[v] = hn::Add(running[v], once[v]);
    }
  }
#pragma GCC unroll 4
  for (size_t v = 0; v < kVectors; ++v) {
    hn::Store(once[v], d, sums.once + v * kLanes);
    hn::Store(running[v], d, sums.running + v * kLanes);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace waferstream
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace waferstream {

HWY_EXPORT(AddRows);

void MemorySums::Add(const void* data, size_t bytes) {
  const auto* from = static_cast<const std::byte*>(data);
  HWY_DYNAMIC_DISPATCH(AddRows)(from, bytes / kRowBytes, *this);
  const size_t rest = bytes % kRowBytes;
  if (rest == 0) return;
  std::byte row[kRowBytes] = {};
  std::memcpy(row, from + bytes - rest, rest);
  HWY_DYNAMIC_DISPATCH(AddRows)(row, 1, *this);
}

uint64_t MemorySums::Finish(size_t bytes) const {
  return Hash64(running, sizeof(running), Hash64(once, sizeof(once), bytes));
}

uint64_t MemorySum(const void* data, size_t bytes) {
  MemorySums sums;
  sums.Add(data, bytes);
  return sums.Finish(bytes);
}

}  // namespace waferstream
#endif
