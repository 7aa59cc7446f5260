// Invariants of the program, for every shape of model and every recomputation.
#include "plan/program.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "plan/plan.h"
#include "plan/test_job.h"

namespace waferstream {
namespace {

struct Model {
  std::vector<Parameter> parameters;
  std::vector<Tile> tiles;
  Program program;
};

// (layers, tied, tile elements, recompute)
using Case = std::tuple<int, bool, int, Recompute>;

Model Build(const Case& c) {
  const auto [layers, tied, tile_elements, recompute] = c;
  JobSpec job = TestJob();
  job.mutable_model()->set_layers(layers);
  job.mutable_model()->set_tied(tied);
  Model model;
  model.parameters = *BuildParameters(job.model());
  model.tiles = CutTiles(model.parameters, tile_elements);
  model.program = BuildProgram(job.model(), model.parameters, recompute);
  return model;
}

class EveryProgram : public testing::TestWithParam<Case> {};

INSTANTIATE_TEST_SUITE_P(
    Shapes, EveryProgram,
    testing::Combine(testing::Values(1, 3), testing::Bool(), testing::Values(100, 1024, 1 << 20),
                     testing::Values(RECOMPUTE_NONE, RECOMPUTE_SELECTIVE, RECOMPUTE_FULL)));

// Every position is needed, in an order in which it can arrive, and released once, never before its
// last use.
void CheckStream(const std::vector<Op>& ops, const std::vector<int>& stream) {
  std::vector<int> releases(stream.size(), 0), uses(stream.size(), 0);
  for (const Op& op : ops) {
    for (int position : op.needs) {
      ++uses[position];
      EXPECT_EQ(releases[position], 0) << "needed after its release: " << position;
    }
    for (int position : op.releases) ++releases[position];
    if (op.item >= 0) {
      EXPECT_EQ(op.needs.back(), op.item);
    }
  }
  for (size_t i = 0; i < stream.size(); ++i) {
    EXPECT_GE(uses[i], 1) << i;
    EXPECT_EQ(releases[i], 1) << i;
  }
}

TEST_P(EveryProgram, ReleasesEveryPositionOnceAfterItsLastUse) {
  const Model model = Build(GetParam());
  CheckStream(model.program.forward, model.program.forward_stream);
  CheckStream(model.program.generate, model.program.forward_stream);
  CheckStream(model.program.backward, model.program.backward_stream);
}

TEST_P(EveryProgram, ForwardStreamsEveryTileAsOftenAsTheModelUsesIt) {
  const Model model = Build(GetParam());
  std::map<int, int> times;
  for (int tile : model.program.forward_stream) ++times[tile];
  for (size_t i = 0; i < model.tiles.size(); ++i) {
    EXPECT_EQ(times[i], model.parameters[model.tiles[i].parameter].contributions) << i;
  }
}

TEST_P(EveryProgram, BackwardStreamsWhatDeltasAndRecomputationNeed) {
  const Model model = Build(GetParam());
  const Recompute recompute = std::get<3>(GetParam());
  std::map<std::string, int> times;
  for (int tile : model.program.backward_stream) {
    const Parameter& p = model.parameters[model.tiles[tile].parameter];
    if (tile == p.first_tile) ++times[p.name];
  }
  for (const Parameter& p : model.parameters) {
    const bool layer = p.name.starts_with("h."), norm = p.name.find("ln_") != std::string::npos;
    const bool last_bias = p.name.ends_with("mlp.c_proj.bias");
    int expected = p.is_matrix;
    if (!p.is_matrix && norm) {
      expected = p.name.ends_with("weight") || (layer && recompute != RECOMPUTE_NONE);
    } else if (!p.is_matrix) {
      expected = recompute == RECOMPUTE_FULL && !last_bias;
    }
    if (p.name == "wpe.weight") expected = 0;
    if (p.name == "wte.weight") expected = std::get<1>(GetParam());
    EXPECT_EQ(times[p.name], expected) << p.name;
  }
}

TEST_P(EveryProgram, MakesEveryGradientOnceInOrder) {
  const Model model = Build(GetParam());
  std::set<std::pair<int, int>> made;
  int next = 0;
  for (const Op& op : model.program.backward) {
    for (int g : op.gradients) {
      EXPECT_EQ(g, next++);
      const GradientItem& item = model.program.gradient_stream[g];
      EXPECT_TRUE(made.insert({item.tile, item.contribution}).second);
    }
  }
  EXPECT_EQ(next, static_cast<int>(model.program.gradient_stream.size()));
  size_t expected = 0;
  for (const Tile& tile : model.tiles) {
    expected += model.parameters[tile.parameter].contributions;
  }
  EXPECT_EQ(made.size(), expected);
}

TEST_P(EveryProgram, AStreamedMatrixOpMakesTheGradientOfItsTile) {
  const Model model = Build(GetParam());
  for (const Op& op : model.program.backward) {
    if (op.kind != OpKind::kMatmulBackward && op.kind != OpKind::kLogitsBackward) continue;
    const int streamed = model.program.backward_stream[op.item];
    EXPECT_EQ(model.program.gradient_stream[op.gradients[0]].tile, streamed);
  }
}

TEST_P(EveryProgram, SmallVectorsOfALayerComeBeforeItsMatrices) {
  const Model model = Build(GetParam());
  std::map<std::string, int> last_vector, first_matrix;
  for (size_t i = 0; i < model.program.backward_stream.size(); ++i) {
    const Tile& tile = model.tiles[model.program.backward_stream[i]];
    const Parameter& p = model.parameters[tile.parameter];
    if (!p.name.starts_with("h.")) continue;
    const std::string layer = p.name.substr(0, p.name.find('.', 2));
    if (p.is_matrix) {
      first_matrix.emplace(layer, static_cast<int>(i));
    } else {
      last_vector[layer] = static_cast<int>(i);
    }
  }
  EXPECT_EQ(static_cast<int>(first_matrix.size()), std::get<0>(GetParam()));
  for (const auto& [layer, position] : first_matrix) EXPECT_LT(last_vector.at(layer), position);
}

// Plays a pass with exactly the slots that SlotsNeeded names: tiles of each plane arrive in order
// while there is a slot. It must run to its end.
bool Finishes(const std::vector<Op>& ops, const std::vector<int>& stream,
              const std::vector<Tile>& tiles, std::vector<Credit> slots) {
  std::vector<bool> here(stream.size(), false);
  std::vector<size_t> next(slots.size(), 0);
  const auto arrive = [&] {
    for (size_t plane = 0; plane < slots.size(); ++plane) {
      for (; next[plane] < stream.size(); ++next[plane]) {
        const Tile& tile = tiles[stream[next[plane]]];
        if (tile.plane != static_cast<int>(plane)) continue;
        if (slots[plane].slots[tile.slot] == 0) break;
        --slots[plane].slots[tile.slot];
        here[next[plane]] = true;
      }
    }
  };
  for (const Op& op : ops) {
    arrive();
    for (int position : op.needs) {
      if (!here[position]) return false;
    }
    for (int position : op.releases) {
      const Tile& tile = tiles[stream[position]];
      ++slots[tile.plane].slots[tile.slot];
    }
  }
  return true;
}

TEST_P(EveryProgram, RunsWithTheSlotsNeededAndNotWithFewer) {
  Model model = Build(GetParam());
  for (size_t i = 0; i < model.tiles.size(); ++i) model.tiles[i].plane = static_cast<int>(i % 3);
  const Program& p = model.program;
  const std::vector<Credit> needed = SlotsNeeded(p, model.tiles, 3);
  const auto finishes = [&](const std::vector<Credit>& slots) {
    return Finishes(p.forward, p.forward_stream, model.tiles, slots) &&
           Finishes(p.backward, p.backward_stream, model.tiles, slots);
  };
  EXPECT_TRUE(finishes(needed));
  for (int plane = 0; plane < 3; ++plane) {
    for (int slot = 0; slot < kSlotClasses; ++slot) {
      if (needed[plane].slots[slot] == 0) continue;
      std::vector<Credit> fewer = needed;
      --fewer[plane].slots[slot];
      EXPECT_FALSE(finishes(fewer)) << "plane " << plane << " slot class " << slot;
    }
  }
}

}  // namespace
}  // namespace waferstream
