// Invariants of the program, for every shape of model and every recomputation.
#include "plan/program.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "plan/plan.h"
#include "plan/test_job.h"

namespace waferstream {
namespace {

struct Built {
  Graph graph;
  std::vector<Parameter> parameters;
  std::vector<Tile> tiles;
  Program program;
};

constexpr KeepPolicy kPolicies[] = {
    {RECOMPUTE_NONE}, {RECOMPUTE_SELECTIVE}, {RECOMPUTE_FULL}, {RECOMPUTE_FULL, false}};

// (layers, tied, tile elements, policy)
using Case = std::tuple<int, bool, int, KeepPolicy>;

Built Build(const Case& c) {
  const auto [layers, tied, tile_elements, policy] = c;
  JobSpec job = TestJob();
  job.mutable_model()->set_layers(layers);
  job.mutable_model()->set_tied(tied);
  Model model = *BuildModel(job.model());
  Built built;
  built.tiles = CutTiles(model.parameters, tile_elements);
  built.program = BuildProgram(model.graph, model.parameters, Dtype::kBf16, policy);
  built.parameters = std::move(model.parameters);
  built.graph = std::move(model.graph);
  return built;
}

class EveryProgram : public testing::TestWithParam<Case> {};

INSTANTIATE_TEST_SUITE_P(Shapes, EveryProgram,
                         testing::Combine(testing::Values(1, 3), testing::Bool(),
                                          testing::Values(100, 1024, 1 << 20),
                                          testing::ValuesIn(kPolicies)));

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
  const Built model = Build(GetParam());
  CheckStream(model.program.forward, model.program.forward_stream);
  CheckStream(model.program.generate, model.program.forward_stream);
  CheckStream(model.program.backward, model.program.backward_stream);
}

TEST_P(EveryProgram, ForwardStreamsEveryTileAsOftenAsTheModelUsesIt) {
  const Built model = Build(GetParam());
  std::map<int, int> times;
  for (int tile : model.program.forward_stream) ++times[tile];
  for (size_t i = 0; i < model.tiles.size(); ++i) {
    EXPECT_EQ(times[i], model.parameters[model.tiles[i].parameter].contributions) << i;
  }
}

TEST_P(EveryProgram, BackwardStreamsWhatDeltasAndRecomputationNeed) {
  const Built model = Build(GetParam());
  const KeepPolicy& policy = std::get<3>(GetParam());
  const Recompute recompute = policy.recompute;
  const bool holds = policy.holds_weights;
  std::map<std::string, int> times;
  for (int tile : model.program.backward_stream) {
    const Parameter& p = model.parameters[model.tiles[tile].parameter];
    if (tile == p.first_tile) ++times[p.name];
  }
  for (const Parameter& p : model.parameters) {
    const bool layer = p.name.starts_with("h."), norm = p.name.find("ln_") != std::string::npos;
    const bool last_bias = p.name.ends_with("mlp.c_proj.bias");
    int expected = p.two_dimensional;
    if (!p.two_dimensional && norm) {
      expected = p.name.ends_with("weight") || (layer && recompute != RECOMPUTE_NONE);
    } else if (!p.two_dimensional) {
      expected = recompute == RECOMPUTE_FULL && !last_bias;
    }
    if (p.two_dimensional && layer && !holds && !p.name.ends_with("mlp.c_proj.weight"))
      expected = 2;
    if (p.name == "wpe.weight") expected = 0;
    if (p.name == "wte.weight") expected = std::get<1>(GetParam());
    EXPECT_EQ(times[p.name], expected) << p.name;
  }
}

TEST_P(EveryProgram, MakesEveryGradientOnceInOrder) {
  const Built model = Build(GetParam());
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
  const Built model = Build(GetParam());
  for (const Op& op : model.program.backward) {
    if (op.item < 0 || !model.program.Of(op).backward) continue;
    const int streamed = model.program.backward_stream[op.item];
    EXPECT_EQ(model.program.gradient_stream[op.gradients[0]].tile, streamed);
  }
}

// Every value is written before it is read or added to, and another one takes its bytes only then.
TEST_P(EveryProgram, ReadsWhatWasWrittenAndIsStillThere) {
  const Built model = Build(GetParam());
  const Program& p = model.program;
  for (const auto& passes : {std::vector{&p.forward, &p.backward}, std::vector{&p.generate}}) {
    std::map<int, int> held;  // by whose bytes they are: the value that is there
    const auto is_there = [&](int value) {
      const auto at = held.find(p.values[value].storage);
      return at != held.end() && at->second == value;
    };
    for (const std::vector<Op>* ops : passes) {
      int last = -1;
      for (const Op& op : *ops) {
        const Operation& operation = p.Of(op);
        // One in place writes, tile by tile, where it reads.
        for (const int value : operation.reads) {
          EXPECT_TRUE(op.operation == last || is_there(value)) << p.values[value].name;
        }
        if (op.accumulate && !operation.writes.empty()) {
          EXPECT_TRUE(is_there(operation.writes[0])) << p.values[operation.writes[0]].name;
        }
        for (const int value : operation.writes) held[p.values[value].storage] = value;
        last = op.operation;
      }
    }
  }
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
  Built model = Build(GetParam());
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
