// How long everything takes in a simulated cluster.
//
// Without a seed every delay is one nanosecond, so that events happen in the order they were caused
// in. With one they are drawn, mostly short and now and then long, so that any two events that do
// not depend on one another happen in either order, and a peer sometimes runs far ahead.
#pragma once

#include <cstdint>
#include <optional>

#include "base/philox.h"

namespace waferstream {

class Delays {
 public:
  explicit Delays(std::optional<uint64_t> seed) : seed_(seed) {}

  int64_t NextNs() {
    if (!seed_) return 1;
    const auto bits = Philox(*seed_, Purpose::kFault, 0, draw_++);
    const bool is_long = bits[0] % 16 == 0;
    return 1 + bits[1] % (is_long ? 50'000 : 1'000);
  }

  // Decides what the contract leaves open.
  bool Coin() { return seed_ && Philox(*seed_, Purpose::kFault, 1, draw_++)[0] % 2 == 0; }

 private:
  std::optional<uint64_t> seed_;
  uint64_t draw_ = 0;
};

}  // namespace waferstream
