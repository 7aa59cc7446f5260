// The time of an event. Cores own no clock: their shell passes this in.
#pragma once

namespace waferstream {

struct Now {
  double steady_s = 0;  // monotonic; leases and durations
  double unix_s = 0;    // for people; never compared
};

}  // namespace waferstream
