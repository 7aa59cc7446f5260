// A row times a factor, some of it dropped: the same elements whenever it is computed, as which
// ones they are is a counter's business (base/philox.h). Single-threaded.
#pragma once

#include <cstdint>

#include "base/dtype.h"

namespace waferstream {

// Which elements of a value's rows are dropped.
struct DropSpec {
  uint64_t seed = 0;
  uint64_t stream = 0;  // of draws: one for every value and step
  double share = 0;     // in [0, 1); 0: none
};

// A row of `width` elements of `dtype`.
struct ScaledRow {
  Dtype dtype = Dtype::kF32;
  const void* data = nullptr;
};

// out [width] of `out_dtype` = added [width] + in * factor / (1 - share) where it is kept, else
// added. `added` is fp32, and may be out; null: nothing. `row` is the row's number in the
// value of a global batch.
void ScaleRow(const ScaledRow& in, int64_t width, double factor, const DropSpec& drop, uint64_t row,
              const float* added, Dtype out_dtype, void* out);

}  // namespace waferstream
