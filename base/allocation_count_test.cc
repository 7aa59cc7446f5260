#include "base/allocation_count.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace waferstream {
namespace {

TEST(AllocationCount, CountsEveryFormOfNewOnThisThread) {
  struct alignas(64) Line {
    char bytes[64];
  };
  const CountAllocations counter;
  EXPECT_EQ(counter.sofar().calls, 0u);
  const auto one = std::make_unique<int>(1);
  EXPECT_EQ(counter.sofar().calls, 1u);
  EXPECT_EQ(counter.sofar().bytes, sizeof(int));
  const auto line = std::make_unique<Line>();
  EXPECT_EQ(counter.sofar().calls, 2u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(line.get()) % 64, 0u);
  const std::vector<char> array(1000);
  const std::string text(200, 'a');
  EXPECT_EQ(counter.sofar().calls, 4u);
  EXPECT_EQ(counter.sofar().largest, 1000u);
}

TEST(AllocationCount, LeavesOtherThreadsOut) {
  const CountAllocations counter;
  std::thread other;
  other = std::thread([] { const std::vector<char> array(1 << 20); });
  other.join();
  EXPECT_LT(counter.sofar().largest, size_t{1} << 20);
}

TEST(AllocationCount, BeginsAnew) {
  const auto one = std::make_unique<int>(1);
  const CountAllocations counter;
  EXPECT_EQ(counter.sofar().calls, 0u);
}

}  // namespace
}  // namespace waferstream
