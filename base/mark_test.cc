#include "base/mark.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace waferstream {
namespace {

void Here() { WS_MARK("mark_test: shared"); }
void There() { WS_MARK("mark_test: shared"); }

TEST(Mark, CountsWhatRanAndNothingElse) {
  EXPECT_EQ(Marks::Count("mark_test: shared"), 0u);
  Here();
  Here();
  There();
  EXPECT_EQ(Marks::Count("mark_test: shared"), 3u);
  EXPECT_EQ(Marks::Count("mark_test: share"), 0u);
}

TEST(Mark, LosesNoneBetweenThreads) {
  constexpr int kThreads = 4, kHits = 10000;
  std::vector<std::thread> threads(kThreads);
  for (std::thread& thread : threads) {
    thread = std::thread([] {
      for (int i = 0; i < kHits; ++i) WS_MARK("mark_test: threads");
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Marks::Count("mark_test: threads"), uint64_t{kThreads} * kHits);
}

}  // namespace
}  // namespace waferstream
