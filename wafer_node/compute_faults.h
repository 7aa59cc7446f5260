// What goes wrong inside a machine that does not notice. A production node has none; a test build
// flips bits (bit_flips.h).
#pragma once

#include <cstdint>

namespace waferstream {

struct OpContext;

class ComputeFaults {
 public:
  virtual ~ComputeFaults() = default;

  // Before and after an op, on the thread that runs it: what it will read, and what it has written.
  virtual void BeforeOp(const OpContext& c) = 0;
  virtual void AfterOp(const OpContext& c) = 0;

  // Elements [first, first + count) of gradient `g` of the op have been made for this resident
  // micro-batch; they are neither hashed nor summed yet. Any thread of the op.
  virtual void OnGradient(const OpContext& c, int g, int resident, int64_t first, float* values,
                          int64_t count) = 0;
};

}  // namespace waferstream
