// What an update of one tile is made of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

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
  std::span<std::byte* const> states = {};  // as StatesOf describes them (plan/optimizer_state.h)
  // For rules that take a tensor whole: the tile is all of it.
  size_t rows = 0;
  bool two_dimensional = false;
  bool orthogonal = false;     // Parameter::orthogonal
  float* workspace = nullptr;  // WorkspaceElements (plan/optimizer_state.h) of them

  float* Floats(size_t state) const { return reinterpret_cast<float*>(states[state]); }
};

}  // namespace waferstream
