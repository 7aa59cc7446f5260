#include "client/pidfd.h"

#include <poll.h>

#include <algorithm>

#include "absl/time/clock.h"

namespace waferstream {
namespace {

constexpr absl::Duration kOnePoll = absl::Hours(1);  // poll takes an int of milliseconds

}  // namespace

bool EndsWithin(const Fd& pidfd, absl::Duration limit) {
  const absl::Time deadline = absl::Now() + limit;
  for (;;) {
    pollfd ended = {pidfd.get(), POLLIN, 0};
    const absl::Duration left = std::clamp(deadline - absl::Now(), absl::ZeroDuration(), kOnePoll);
    const absl::Duration rounded_up = absl::Ceil(left, absl::Milliseconds(1));
    if (poll(&ended, 1, static_cast<int>(absl::ToInt64Milliseconds(rounded_up))) > 0) return true;
    if (absl::Now() >= deadline) return false;
  }
}

}  // namespace waferstream
