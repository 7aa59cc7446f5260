// The oracle of the MemoryX tests: a whole model on one side, updated at once after every step.
//
// Gradients are made up from their names and from the weights they would be computed with, so that
// a stale or torn weight shows in everything that follows.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "base/exact_sum.h"
#include "base/parallel.h"
#include "checkpoint/initialise.h"
#include "memoryx/optimizer_rule.h"
#include "memoryx/tile_math.h"
#include "plan/canonical_sum.h"
#include "plan/optimizer_state.h"
#include "plan/plan.h"

namespace waferstream {

class EagerTrainer {
 public:
  struct TileState {
    std::vector<float> weights;
    std::vector<std::vector<std::byte>> states;
  };

  explicit EagerTrainer(const Plan& plan) : plan_(plan) {
    const StateTable states = StatesOf(plan);
    tiles_.resize(plan.tiles.size());
    for (size_t t = 0; t < tiles_.size(); ++t) {
      const Tile& tile = plan.tiles[t];
      tiles_[t].weights.resize(tile.elements);
      for (const OptimizerState& state : states[tile.parameter]) {
        tiles_[t].states.emplace_back(ElementsOf(state, tile) * BytesOf(state.dtype));
      }
      InitialiseRows(plan.parameters[tile.parameter], tile.parameter, plan.job.training().seed(),
                     {tile.first_row, tile.rows}, serial_, tiles_[t].weights.data());
    }
    history_.push_back(tiles_);
    for (uint64_t step = 0; step < plan.steps(); ++step) Step(step);
  }

  // All tiles after `steps` steps.
  const std::vector<TileState>& After(uint64_t steps) const { return history_[steps]; }
  double clip_factor(uint64_t step) const { return clip_factors_[step]; }
  double square_sum(uint64_t step, int tile) const { return square_sums_[step][tile]; }

  // The block of one gradient of one step, straight from the definition of the canonical sum.
  std::vector<float> Block(uint64_t step, int tile, int contribution, BlockRange range) const {
    if (range.level == 0) return Leaf(step, tile, contribution, range.lo);
    const uint32_t half = uint32_t{1} << (range.level - 1);
    const uint8_t level = range.level - 1;
    std::vector<float> left = Block(step, tile, contribution, {range.lo, level});
    if (range.lo + half >= static_cast<uint32_t>(plan_.leaves)) return left;
    const std::vector<float> right = Block(step, tile, contribution, {range.lo + half, level});
    for (size_t i = 0; i < left.size(); ++i) left[i] += right[i];
    return left;
  }

 private:
  std::vector<float> Leaf(uint64_t step, int tile, int contribution, uint32_t leaf) const {
    const std::vector<float>& weights = history_[step][tile].weights;
    std::vector<float> gradient(weights.size());
    for (size_t i = 0; i < gradient.size(); ++i) {
      const float name = static_cast<float>(i % 977 + size_t{31} * leaf +
                                            static_cast<size_t>(7 * contribution + tile));
      gradient[i] = 0.01f * std::sin(name + static_cast<float>(step)) + 0.1f * weights[i];
    }
    return gradient;
  }

  void Step(uint64_t step) {
    const BlockRange root = BlocksOf(0, plan_.leaves, plan_.leaves).front();
    std::vector<std::vector<float>> gradients;
    square_sums_.emplace_back();
    ExactSum sum;
    for (size_t t = 0; t < tiles_.size(); ++t) {
      const int tile = static_cast<int>(t);
      const int contributions = plan_.parameters[plan_.tiles[t].parameter].contributions;
      gradients.push_back(contributions > 0 ? Block(step, tile, 0, root) : std::vector<float>());
      for (int c = 1; c < contributions; ++c) {
        const std::vector<float> next = Block(step, tile, c, root);
        for (size_t i = 0; i < next.size(); ++i) gradients[t][i] += next[i];
      }
      square_sums_[step].push_back(
          contributions > 0 ? SquareSumOfTile(serial_, gradients[t].data(), gradients[t].size())
                            : 0);
      sum.Add(square_sums_[step][t]);
    }
    const double clip = plan_.job.training().clip();
    clip_factors_.push_back(std::min(1.0, clip / (std::sqrt(sum.Rounded()) + 1e-6)));
    for (size_t t = 0; t < tiles_.size(); ++t) {
      if (!gradients[t].empty()) Update(step, static_cast<int>(t), gradients[t]);
    }
    history_.push_back(tiles_);
  }

  void Update(uint64_t step, int tile, const std::vector<float>& gradient) {
    TileState& state = tiles_[tile];
    std::vector<std::byte*> states;
    for (auto& s : state.states) states.push_back(s.data());
    const Parameter& p = plan_.parameters[plan_.tiles[tile].parameter];
    std::vector<float> workspace(WorkspaceElements(p));
    ApplyUpdate(plan_.job.training().optimizer(),
                {step, clip_factors_[step], plan_.LearningRate(step)},
                {.elements = gradient.size(),
                 .decayed = p.decayed,
                 .gradient = gradient.data(),
                 .weights = state.weights.data(),
                 .states = states,
                 .rows = static_cast<size_t>(plan_.tiles[tile].rows),
                 .two_dimensional = p.two_dimensional,
                 .orthogonal = p.orthogonal,
                 .workspace = workspace.data()},
                serial_);
  }

  const Plan& plan_;
  mutable Serial serial_;
  std::vector<TileState> tiles_;
  std::vector<std::vector<TileState>> history_;   // [steps done][tile]
  std::vector<std::vector<double>> square_sums_;  // [step][tile]
  std::vector<double> clip_factors_;
};

}  // namespace waferstream
