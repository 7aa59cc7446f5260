#include "plan/staging.h"

#include <optional>

namespace waferstream {
namespace {

// Takes a free buffer, or makes one.
int TakeBuffer(std::vector<int>& free, int& buffers) {
  if (free.empty()) return buffers++;
  const int buffer = free.back();
  free.pop_back();
  return buffer;
}

}  // namespace

StagingSchedule ScheduleStaging(LeafSpan span, int leaves) {
  StagingSchedule schedule;
  BlockSet held(leaves);
  std::vector<int> free;
  for (int leaf = span.first; leaf < span.first + span.count; ++leaf) {
    StagingStep step;
    step.buffer = TakeBuffer(free, schedule.buffers);
    std::optional<Merge> merge = held.Insert(LeafRange(leaf, leaves), step.buffer);
    while (merge.has_value()) {
      step.merges.push_back(*merge);
      free.push_back(merge->from);
      merge = held.Insert(merge->result, merge->into);
    }
    schedule.steps.push_back(std::move(step));
  }
  schedule.blocks = held.held();
  return schedule;
}

}  // namespace waferstream
