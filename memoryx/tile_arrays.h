// What an update of one tile is made of.
#pragma once

#include <array>
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

inline constexpr size_t kStatesMax = 2;  // of any optimizer

// Elements [at, at + n) of arrays that are all floats, one for each of the tile's. `states` is
// where the result's point.
inline TileArrays Part(const TileArrays& tile, size_t at, size_t n,
                       std::array<std::byte*, kStatesMax>& states) {
  for (size_t s = 0; s < tile.states.size(); ++s) {
    states[s] = tile.states[s] + at * sizeof(float);
  }
  return {.elements = n,
          .decayed = tile.decayed,
          .gradient = tile.gradient + at,
          .weights = tile.weights + at,
          .states = std::span(states.data(), tile.states.size())};
}

}  // namespace waferstream
