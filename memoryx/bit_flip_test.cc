#include "memoryx/bit_flip.h"

#include <gtest/gtest.h>

#include <array>

namespace waferstream {
namespace {

using Bytes = std::array<std::byte, 8>;

TEST(BitFlip, FlipsTheBitOfTheTileAtTheVersionOnce) {
  BitFlip faults({.role = "memoryx", .node_id = "", .tile = 3, .step = 5, .bit = 17});
  Bytes bytes{};
  faults.OnWritten(2, 5, bytes);
  faults.OnWritten(3, 4, bytes);
  faults.OnWritten(3, 6, bytes);
  EXPECT_EQ(bytes, Bytes{});
  faults.OnWritten(3, 5, bytes);
  Bytes flipped{};
  flipped[2] = std::byte{2};
  EXPECT_EQ(bytes, flipped);
  faults.OnWritten(3, 5, bytes);  // the step is done again: the machine is sound by now
  EXPECT_EQ(bytes, flipped);
}

TEST(BitFlip, ABitBeyondTheTileWrapsRound) {
  BitFlip faults({.role = "memoryx", .node_id = "", .tile = 0, .step = 0, .bit = 64 * 1000 + 63});
  Bytes bytes{}, flipped{};
  faults.OnWritten(0, 0, bytes);
  flipped[7] = std::byte{0x80};
  EXPECT_EQ(bytes, flipped);
}

}  // namespace
}  // namespace waferstream
