#include "plan/staging.h"

#include <gtest/gtest.h>

#include <vector>

namespace waferstream {
namespace {

// Plays a schedule with sets of leaves instead of sums.
void Check(LeafSpan span, int leaves) {
  const StagingSchedule schedule = ScheduleStaging(span, leaves);
  ASSERT_EQ(static_cast<int>(schedule.steps.size()), span.count);
  std::vector<std::vector<int>> buffers(schedule.buffers);  // leaves in each
  for (int i = 0; i < span.count; ++i) {
    const StagingStep& step = schedule.steps[i];
    ASSERT_TRUE(buffers[step.buffer].empty()) << "a buffer in use is overwritten";
    buffers[step.buffer] = {span.first + i};
    for (const Merge& merge : step.merges) {
      auto& into = buffers[merge.into];
      into.insert(into.end(), buffers[merge.from].begin(), buffers[merge.from].end());
      buffers[merge.from].clear();
    }
  }
  std::vector<BlockRange> ranges;
  size_t held = 0;
  for (const auto& block : schedule.blocks) {
    ranges.push_back(block.range);
    held += buffers[block.buffer].size();
  }
  EXPECT_EQ(ranges, BlocksOf(span.first, span.count, leaves));
  EXPECT_EQ(static_cast<int>(held), span.count);
}

TEST(Staging, EverySpanLeavesTheBlocksThatHaveNoSibling) {
  for (int leaves : {1, 2, 3, 7, 8, 13}) {
    for (int first = 0; first < leaves; ++first) {
      for (int count = 0; count <= leaves - first; ++count) Check({first, count}, leaves);
    }
  }
}

TEST(Staging, AnAlignedSpanNeedsOneBufferMoreThanItsDepth) {
  EXPECT_EQ(ScheduleStaging({0, 1}, 64).buffers, 1);
  EXPECT_EQ(ScheduleStaging({8, 4}, 64).buffers, 3);
  EXPECT_EQ(ScheduleStaging({0, 64}, 64).buffers, 7);
  EXPECT_EQ(ScheduleStaging({0, 64}, 64).blocks.size(), 1u);
}

}  // namespace
}  // namespace waferstream
