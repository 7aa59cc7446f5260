// The job's optimizer, applied to one tile.
#pragma once

#include <span>
#include <variant>

#include "base/memory_sum.h"
#include "base/parallel.h"
#include "memoryx/optimizer_kernels.h"
#include "memoryx/tile_arrays.h"
#include "proto/job.pb.h"

namespace waferstream {

// Whether a tile's rule looks at one element at a time: then any piece of it may be updated by
// itself.
bool IsElementwise(const Optimizer& optimizer, bool orthogonal);

// A rule that looks at one element at a time, at one step.
class ElementwiseRule {
 public:
  // Requires IsElementwise(optimizer, false).
  ElementwiseRule(const Optimizer& optimizer, const StepUpdate& update, bool decayed);

  // Updates the arrays, and adds what they were before to `before`: the weights, then each state.
  // All but the last call for an array have whole rows of it (MemorySums).
  void Apply(const TileArrays& arrays, std::span<MemorySums> before) const;

 private:
  std::variant<AdamWFactors, SgdFactors, LionFactors> factors_;
};

// Splits the tile over the threads; the bits do not depend on how.
void ApplyUpdate(const Optimizer& optimizer, const StepUpdate& update, const TileArrays& tile,
                 Parallel& parallel);

}  // namespace waferstream
