// Names what each micro-batch of a wave gives, bit by bit: its loss and every gradient.
//
// The hash of a micro-batch is the wrapping sum of one XXH3-64 for its loss and for every piece of
// every gradient, each seeded with its place. So neither threads nor the order in which pieces are
// made matter, nor who else is resident; two wafers that compute the same get the same.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

namespace waferstream {

// Lives as long as the core; Restart() for every wave.
class WaveHashes {
 public:
  explicit WaveHashes(int resident_max) : sums_(resident_max) {}

  // Before the first gradient of a wave.
  void Restart();
  // Elements [first, first + count) of item `item` of the gradient stream have been made for this
  // resident micro-batch. Any thread.
  void AddGradient(int resident, int item, int64_t first, const float* values, int64_t count);
  // The hash of a micro-batch, after its last gradient.
  uint64_t Of(int resident, double loss_sum) const;

 private:
  std::vector<std::atomic<uint64_t>> sums_;  // by resident; of its gradients
};

}  // namespace waferstream
