// For how long a job has been at work: from its first epoch on, without the time in which it was
// paused, and with that in which no controller was there.
#pragma once

#include <algorithm>
#include <optional>

#include "controller/now.h"
#include "proto/store.pb.h"

namespace waferstream {

// Under one controller steady time counts, over a restart the wall's. Not thread-safe.
class JobClock {
 public:
  // As `memory` says (JobMemory.seconds).
  JobClock(const JobMemory& memory, const Now& now) : seconds_(memory.seconds()) {
    if (memory.since_unix_s() == 0) return;
    since_ = now;
    since_->unix_s = memory.since_unix_s();
    since_->steady_s -= std::max(0.0, now.unix_s - memory.since_unix_s());
  }

  // Both are idempotent.
  void Run(const Now& now) {
    if (!since_.has_value()) since_ = now;
  }
  void Stop(const Now& now) {
    seconds_ = Seconds(now);
    since_.reset();
  }

  double Seconds(const Now& now) const {
    return seconds_ + (since_.has_value() ? std::max(0.0, now.steady_s - since_->steady_s) : 0);
  }

  void CopyTo(JobMemory& memory) const {
    memory.set_seconds(seconds_);
    memory.set_since_unix_s(since_.has_value() ? since_->unix_s : 0);
  }

 private:
  double seconds_ = 0;        // of the stretches that are over
  std::optional<Now> since_;  // when the present one began
};

}  // namespace waferstream
