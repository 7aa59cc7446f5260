#include "core/slot_pool.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace waferstream {
namespace {

constexpr size_t kSlotAlignment = 64;

size_t Padded(size_t bytes) {
  return (bytes + kSlotAlignment - 1) / kSlotAlignment * kSlotAlignment;
}

}  // namespace

size_t SlotPool::WindowBytes(const Credit& window, const SlotBytes& slot_bytes) {
  size_t bytes = 0;
  for (int c = 0; c < kSlotClasses; ++c) bytes += window.slots[c] * Padded(slot_bytes[c]);
  return bytes;
}

SlotPool::SlotPool(const std::vector<Credit>& windows, const SlotBytes& slot_bytes,
                   std::span<std::byte> memory)
    : free_(windows.size()) {
  std::byte* next = memory.data();
  for (size_t port = 0; port < windows.size(); ++port) {
    for (const SlotClass c : {kSmall, kLarge}) {
      for (int i = 0; i < windows[port].slots[c]; ++i) {
        free_[port][c].push_back(size());
        slots_.push_back({static_cast<int>(port), c, next, false});
        next += Padded(slot_bytes[c]);
      }
    }
  }
  WS_CHECK(next == memory.data() + memory.size());
}

absl::StatusOr<int> SlotPool::Take(int port, SlotClass slot_class) {
  std::vector<int>& free = free_[port][slot_class];
  if (free.empty()) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the peer sent more ", slot_class == kSmall ? "small" : "large", " frames than granted"));
  }
  const int slot = free.back();
  free.pop_back();
  slots_[slot].taken = true;
  return slot;
}

void SlotPool::Free(int slot) {
  WS_CHECK(slots_[slot].taken);
  slots_[slot].taken = false;
  free_[slots_[slot].port][slots_[slot].slot_class].push_back(slot);
}

}  // namespace waferstream
