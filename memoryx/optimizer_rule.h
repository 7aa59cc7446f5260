// The job's optimizer, applied to one tile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/parallel.h"
#include "proto/job.pb.h"

namespace waferstream {

// What Commit says about a step.
struct StepUpdate {
  uint64_t step = 0;  // 0-based
  double clip_factor = 1;
  double learning_rate = 0;
};

// One tile's arrays; weights and gradient are `elements` floats each.
struct TileArrays {
  size_t elements = 0;
  bool decayed = false;
  const float* gradient = nullptr;
  float* weights = nullptr;
  std::span<std::byte* const> states;  // as StatesOf describes them (plan/optimizer_state.h)
};

// Splits the tile over the threads; the bits do not depend on how.
void ApplyUpdate(const Optimizer& optimizer, const StepUpdate& update, const TileArrays& tile,
                 Parallel& parallel);

}  // namespace waferstream
