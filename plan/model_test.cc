#include "plan/model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "plan/test_job.h"

namespace waferstream {
namespace {

ModelSpec Gpt2Small() {
  ModelSpec model = TestJob().model();
  model.set_layers(12);
  model.set_hidden(768);
  model.set_heads(12);
  model.set_vocab(50257);
  model.set_context(1024);
  model.set_ffn(3072);
  return model;
}

int64_t Elements(const std::vector<Parameter>& parameters) {
  int64_t sum = 0;
  for (const Parameter& p : parameters) sum += p.rows * p.cols;
  return sum;
}

const Parameter& Named(const std::vector<Parameter>& parameters, const std::string& name) {
  const auto at = std::find_if(parameters.begin(), parameters.end(),
                               [&](const Parameter& p) { return p.name == name; });
  EXPECT_NE(at, parameters.end()) << name;
  return *at;
}

TEST(Model, Gpt2SmallHasItsKnownSizeAndNames) {
  const auto parameters = *BuildParameters(Gpt2Small());
  EXPECT_EQ(Elements(parameters), 124'439'808);
  EXPECT_EQ(parameters.size(), 2u + 12 * 12 + 2);
  EXPECT_EQ(parameters.front().name, "wte.weight");
  EXPECT_EQ(parameters.front().contributions, 2);
  EXPECT_EQ(parameters.back().name, "ln_f.bias");

  const Parameter& qkv = Named(parameters, "h.11.attn.c_attn.weight");
  EXPECT_EQ(qkv.rows, 3 * 768);
  EXPECT_EQ(qkv.cols, 768);
  EXPECT_TRUE(qkv.transposed_in_checkpoint);
  EXPECT_EQ(qkv.init_std, 0.02);
  const Parameter& down = Named(parameters, "h.0.mlp.c_proj.weight");
  EXPECT_EQ(down.rows, 768);
  EXPECT_EQ(down.cols, 3072);
  EXPECT_DOUBLE_EQ(down.init_std, 0.02 / std::sqrt(24.0));
  const Parameter& gain = Named(parameters, "h.3.ln_2.weight");
  EXPECT_FALSE(gain.two_dimensional);
  EXPECT_FALSE(gain.decayed);
  EXPECT_EQ(gain.init_std, 0);
  EXPECT_EQ(gain.init_value, 1);
  EXPECT_EQ(Named(parameters, "h.3.ln_2.bias").init_value, 0);
}

TEST(Model, AnUntiedHeadIsItsOwnParameter) {
  ModelSpec model = Gpt2Small();
  model.set_tied(false);
  const auto parameters = *BuildParameters(model);
  EXPECT_EQ(Elements(parameters), 124'439'808 + 50257 * 768);
  EXPECT_EQ(parameters.back().name, "lm_head.weight");
  EXPECT_FALSE(parameters.back().transposed_in_checkpoint);
  EXPECT_EQ(parameters.front().contributions, 1);
}

// "46.7B" and "30.5B" on their model cards.
TEST(Model, MixturesOfExpertsHaveTheirKnownSizes) {
  ModelSpec mixtral;
  mixtral.set_family("mixtral");
  mixtral.set_layers(32);
  mixtral.set_hidden(4096);
  mixtral.set_heads(32);
  mixtral.set_kv_heads(8);
  mixtral.set_ffn(14336);
  mixtral.set_vocab(32000);
  mixtral.set_context(32768);
  mixtral.set_norm_eps(1e-5);
  mixtral.set_experts(8);
  mixtral.set_experts_per_token(2);
  EXPECT_EQ(Elements(*BuildParameters(mixtral)), 46'702'792'704);
  ModelSpec qwen = mixtral;
  qwen.set_family("qwen3_moe");
  qwen.set_layers(48);
  qwen.set_hidden(2048);
  qwen.set_kv_heads(4);
  qwen.set_head_dim(128);
  qwen.set_ffn(768);
  qwen.set_vocab(151936);
  qwen.set_experts(128);
  qwen.set_experts_per_token(8);
  EXPECT_EQ(Elements(*BuildParameters(qwen)), 30'532'122'624);
}

TEST(Model, NamesAreUnique) {
  std::set<std::string> names;
  const auto parameters = *BuildParameters(Gpt2Small());
  for (const Parameter& p : parameters) EXPECT_TRUE(names.insert(p.name).second) << p.name;
}

Parameter MatrixOf(int64_t rows, int64_t cols) {
  Parameter p;
  p.rows = rows;
  p.cols = cols;
  p.one_tile = false;
  return p;
}

TEST(CutTiles, CoverEveryRowOnceWithinTheBoundWithoutSlivers) {
  for (int64_t rows : {1, 2, 63, 64, 65, 128, 129, 193, 1000, 4097, 50257}) {
    for (int64_t cols : {1, 3, 64, 768}) {
      for (uint64_t bound : {1, 64, 768, 5000, 49152, 49153, 147456, 1048576}) {
        std::vector<Parameter> parameters = {MatrixOf(7, 7), MatrixOf(rows, cols)};
        const std::vector<Tile> tiles = CutTiles(parameters, bound);
        const Parameter& p = parameters[1];
        EXPECT_EQ(p.first_tile, parameters[0].tile_count);
        EXPECT_EQ(static_cast<size_t>(p.first_tile + p.tile_count), tiles.size());
        const int64_t rows_max = std::max<int64_t>(1, bound / cols);
        int64_t next = 0, least = rows;
        for (size_t t = p.first_tile; t < tiles.size(); ++t) {
          EXPECT_EQ(tiles[t].parameter, 1);
          EXPECT_EQ(tiles[t].first_row, next);
          EXPECT_EQ(tiles[t].elements, tiles[t].rows * cols);
          EXPECT_LE(tiles[t].rows, rows_max);
          EXPECT_LE(tiles[t].rows, tiles[p.first_tile].rows);
          EXPECT_EQ(tiles[t].first_row % (rows_max >= 192 ? 64 : 1), 0);
          next += tiles[t].rows;
          least = std::min(least, tiles[t].rows);
        }
        EXPECT_EQ(next, rows);
        EXPECT_GE(4 * least, tiles[p.first_tile].rows) << rows << "x" << cols << " by " << bound;
      }
    }
  }
}

TEST(CutTiles, AVectorIsOneTile) {
  auto parameters = *BuildParameters(Gpt2Small());
  const auto tiles = CutTiles(parameters, 64);
  for (const Parameter& p : parameters) {
    if (p.two_dimensional) continue;
    EXPECT_EQ(p.tile_count, 1) << p.name;
    EXPECT_EQ(tiles[p.first_tile].slot, kSmall) << p.name;
  }
}

}  // namespace
}  // namespace waferstream
