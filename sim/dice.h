// Random draws of a simulation: counter-based, so that a stream of them depends on (seed, stream)
// and on how many were drawn before, and on nothing else.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/philox.h"
#include "base/status.h"

namespace waferstream {

// What a stream of draws is for. Two streams of one seed share nothing, so that a plan does not
// change when delays are drawn in another number.
enum class DiceStream : uint64_t {
  kPlan = 16,
  kDelay = 17,
  kFault = 18,
  kMessage = 19,
  kIdentity = 20,
  kLink = 21,
  kFamily = 22
};

class Dice {
 public:
  Dice(uint64_t seed, DiceStream stream) : seed_(seed), stream_(static_cast<uint64_t>(stream)) {}

  uint32_t Bits() {
    if (used_ == words_.size()) {
      words_ = Philox(seed_, Purpose::kFault, stream_, draw_++);
      used_ = 0;
    }
    return words_[used_++];
  }

  uint64_t Bits64() {
    const uint64_t high = Bits();
    return high << 32 | Bits();
  }

  // In [0, count).
  int Below(int count) {
    WS_CHECK(count > 0);
    return static_cast<int>(Bits() % static_cast<uint32_t>(count));
  }
  // In [low, high].
  int Between(int low, int high) { return low + Below(high - low + 1); }
  bool Chance(double probability) { return UnitInterval(Bits()) <= probability; }
  bool Coin() { return Bits() % 2 == 0; }

  template <typename T>
  const T& Pick(const std::vector<T>& from) {
    return from[static_cast<size_t>(Below(static_cast<int>(from.size())))];
  }

  // A duration in [1, typical_ns], uniform.
  int64_t UpTo(int64_t typical_ns) {
    return 1 + static_cast<int64_t>(UnitInterval(Bits()) * static_cast<double>(typical_ns - 1));
  }
  // Mostly short and now and then long: at most 30 * typical_ns. Any two events that do not depend
  // on one another happen in either order, and a peer sometimes runs far ahead.
  int64_t Delay(int64_t typical_ns) {
    return Bits() % 32 == 0 ? UpTo(30 * typical_ns) : UpTo(typical_ns);
  }

 private:
  const uint64_t seed_;
  const uint64_t stream_;
  uint64_t draw_ = 0;
  std::array<uint32_t, 4> words_ = {};
  size_t used_ = 4;
};

}  // namespace waferstream
