#include "sim/sim_world.h"

namespace waferstream {

Pace QuickPace() {
  constexpr int64_t kUs = 1'000, kS = 1'000'000'000;
  return {.frame_ns = kUs,
          .work_ns = kUs,
          .call_ns = kUs,
          .disk_ns = kUs,
          .lease_ns = kS,
          .heartbeat_ns = kS / 5,
          .keepalive_ns = kS,
          .call_timeout_ns = 10 * kS,
          .slow_call_timeout_ns = 100 * kS,
          .connect_timeout_ns = 10 * kS,
          .retry_ns = kS / 100,
          .patience_ns = 100 * kS,
          .store_patience_ns = 100 * kS};
}

}  // namespace waferstream
