// How a wafer sums its own micro-batches' gradients of one tile: in order, like a binary counter,
// so that few buffers are in use at once.
#pragma once

#include <vector>

#include "plan/canonical_sum.h"
#include "plan/plan.h"

namespace waferstream {

// A micro-batch's gradient is made in `buffer`, then the merges are done in order.
struct StagingStep {
  int buffer = 0;
  std::vector<Merge> merges;
};

struct StagingSchedule {
  std::vector<StagingStep> steps;      // one a leaf of the span, in order
  std::vector<BlockSet::Held> blocks;  // what remains, in order of lo
  int buffers = 0;                     // buffers are 0..buffers-1
};

StagingSchedule ScheduleStaging(LeafSpan span, int leaves);

}  // namespace waferstream
