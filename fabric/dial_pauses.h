// How long a dialler waits between its attempts, over every fabric: a peer that is not prepared yet
// refuses, and is so in a moment.
#pragma once

#include <algorithm>

#include "absl/time/time.h"

namespace waferstream {

class DialPauses {
 public:
  // The next one: they grow.
  absl::Duration Next() {
    const absl::Duration pause = next_;
    next_ = std::min(2 * next_, absl::Milliseconds(500));
    return pause;
  }

 private:
  absl::Duration next_ = absl::Milliseconds(20);
};

}  // namespace waferstream
