// What a wafer computes in one pass: which micro-batches, and their shape.
#pragma once

#include <cstdint>

#include "plan/pass.h"
#include "plan/plan.h"
#include "plan/staging.h"

namespace waferstream {

struct Wave {
  Pass pass;
  LeafSpan leaves;              // resident micro-batches; count may be 0
  int64_t sequences = 0;        // of a micro-batch
  int64_t sequence_tokens = 0;  // the model's context, or less while a generation is young
  StagingSchedule staging;      // how gradients of the leaves are summed; training only

  int resident() const { return leaves.count; }
  int64_t tokens() const { return sequences * sequence_tokens; }  // of a micro-batch
};

}  // namespace waferstream
