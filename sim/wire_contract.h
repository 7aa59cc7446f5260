// The credit rule of one direction of a channel (core/role_core.h), as seen from outside. Roles
// that break it abort the simulation: a frame is sent only against a granted slot of its class that
// has reached the sender, and never more slots are granted than the plan's window.
#pragma once

#include "base/credit.h"
#include "base/status.h"

namespace waferstream {

class WireContract {
 public:
  explicit WireContract(const Credit& window = {}) : window_(window) {}

  void OnSend(SlotClass slot) {
    WS_CHECK(credit_.Has(slot));
    credit_.Spend(slot);
  }
  void OnArrival(SlotClass slot) {
    WS_CHECK(granted_[slot] > 0);
    --granted_[slot];
  }
  void OnGrant(const Credit& grant) {
    for (int c = 0; c < kSlotClasses; ++c) {
      granted_[c] += grant.slots[c];
      WS_CHECK(grant.slots[c] >= 0 && granted_[c] <= window_.slots[c]);
    }
  }
  void OnGrantArrival(const Credit& grant) { credit_.Add(grant); }

 private:
  Credit window_;
  CreditBalance credit_;             // has reached the sender and is not spent
  int granted_[kSlotClasses] = {0};  // slots that the receiver is ready to be sent into
};

}  // namespace waferstream
