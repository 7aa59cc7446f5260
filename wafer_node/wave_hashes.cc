#include "wafer_node/wave_hashes.h"

#include "base/hash.h"

namespace waferstream {
namespace {

// Seeds: the place in the upper bits, and room for the largest tile below.
constexpr int kPlaceShift = 40;
constexpr uint64_t kLossSeed = ~uint64_t{0};

}  // namespace

void WaveHashes::Restart() {
  for (std::atomic<uint64_t>& sum : sums_) sum = 0;
}

void WaveHashes::AddGradient(int resident, int item, int64_t first, const float* values,
                             int64_t count) {
  const uint64_t seed = static_cast<uint64_t>(item) << kPlaceShift | static_cast<uint64_t>(first);
  // Relaxed: whoever ends the op orders it before what follows.
  sums_[resident].fetch_add(Hash64(values, count * sizeof(float), seed), std::memory_order_relaxed);
}

uint64_t WaveHashes::Of(int resident, double loss_sum) const {
  return sums_[resident] + Hash64(&loss_sum, sizeof(loss_sum), kLossSeed);
}

}  // namespace waferstream
