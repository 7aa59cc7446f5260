#include "data/sample_order.h"

#include "base/status.h"

namespace waferstream {
namespace {

constexpr int kFeistelRounds = 6;
constexpr int kEpochBits = 40;  // of an epoch's number; the stream's is above them

}  // namespace

SampleOrder::SampleOrder(Shuffle shuffle, uint64_t seed, int64_t samples, Purpose purpose,
                         uint64_t stream)
    : shuffle_(shuffle),
      seed_(seed),
      samples_(static_cast<uint64_t>(samples)),
      purpose_(purpose),
      stream_(stream) {
  WS_CHECK(samples >= 1);
  while (samples_ > uint64_t{1} << (2 * half_bits_)) ++half_bits_;
}

int64_t SampleOrder::At(uint64_t n) const {
  const uint64_t position = n % samples_;
  if (shuffle_ == SHUFFLE_NONE) return static_cast<int64_t>(position);
  // Cycle walking: the network permutes [0, 4^half_bits_); following it from inside [0, samples_)
  // until it comes back inside permutes [0, samples_). Less than four rounds on average, no table.
  uint64_t at = position;
  do {
    at = Permute(at, n / samples_);
  } while (at >= samples_);
  return static_cast<int64_t>(at);
}

uint64_t SampleOrder::Permute(uint64_t position, uint64_t epoch) const {
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  uint64_t left = position >> half_bits_;
  uint64_t right = position & mask;
  for (uint64_t round = 0; round < kFeistelRounds; ++round) {
    const auto bits = Philox(seed_, purpose_, stream_ << kEpochBits | epoch, round << 32 | right);
    const uint64_t next = (left ^ bits[0]) & mask;
    left = right;
    right = next;
  }
  return left << half_bits_ | right;
}

}  // namespace waferstream
