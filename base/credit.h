// Credits bound everything: a sender has as much in flight as its receiver granted.
#pragma once

#include "base/status.h"

namespace waferstream {

// Receive slots come in two sizes, so that a bias does not occupy a matrix tile's room.
enum SlotClass { kSmall = 0, kLarge = 1, kSlotClasses = 2 };

// Slots of each class: what a receiver grants and a sender spends, one a frame. The bytes follow
// from the plan's slot sizes.
struct Credit {
  int slots[kSlotClasses] = {0, 0};
};

// What a sender may still send on one channel. Not thread-safe. Spending what was not granted is a
// bug.
class CreditBalance {
 public:
  void Add(const Credit& credit) {
    for (int c = 0; c < kSlotClasses; ++c) slots_[c] += credit.slots[c];
  }
  bool Has(SlotClass slot) const { return slots_[slot] > 0; }
  void Spend(SlotClass slot) {
    WS_CHECK(slots_[slot] > 0);
    --slots_[slot];
  }

 private:
  int slots_[kSlotClasses] = {0, 0};
};

}  // namespace waferstream
