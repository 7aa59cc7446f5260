// Where the first number that is not finite appeared, as a wafer reports it.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/mark.h"
#include "plan/test_job.h"
#include "wafer_node/fake_parent.h"

namespace waferstream {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr char kMark[] = "wafer: diagnosed a number that is not finite";

class DiagnosisTest : public testing::TestWithParam<Recompute> {
 protected:
  DiagnosisTest() { MakePlan(/*tied=*/true); }

  void MakePlan(bool tied) {
    JobSpec job = TestJob();
    job.mutable_model()->set_tied(tied);
    job.mutable_training()->set_steps(1);
    job.mutable_training()->set_recompute(GetParam());
    plan_ = *Compile(job, {.wafers = 2, .memoryx = 1, .swarmx = 1});
    weights_ = MakeWeights(plan_, 1);
  }

  std::vector<float>& Values(const std::string& name) { return weights_[IndexOf(name)]; }

  // The name and the tile that holds row `row`, as reports have it.
  std::string Tile(const std::string& name, int64_t row = 0) const {
    const Parameter& p = plan_.parameters[IndexOf(name)];
    int tile = p.first_tile;
    while (plan_.tiles[tile].first_row + plan_.tiles[tile].rows <= row) ++tile;
    return absl::StrCat(name, " (tile ", tile, ")");
  }

  int FirstTileOf(const std::string& name) const {
    return plan_.parameters[IndexOf(name)].first_tile;
  }
  std::optional<NonFinite> FlipUntilFound(FaultSpec::What what, int tile);

  // What the second wafer (micro-batches 4 to 7) finds.
  std::optional<NonFinite> Find(bool diagnose = true,
                                const std::optional<FaultSpec>& flip = std::nullopt) {
    FakeParent parent(plan_, weights_, {.wafer = 1, .diagnose = diagnose, .flip = flip});
    parent.Run();
    const WaferStep& step = parent.reports().at(0).wafer_step();
    return step.has_non_finite() ? std::optional(step.non_finite()) : std::nullopt;
  }

  // Of the node's first op in forward.
  uint64_t FirstOrderOf(const std::string& node) const {
    const auto& ops = plan_.program.forward;
    const auto op = std::find_if(ops.begin(), ops.end(), [&](const Op& o) {
      return plan_.graph.nodes[plan_.program.Of(o).node].name == node;
    });
    EXPECT_NE(op, ops.end());
    return op - ops.begin();
  }

  Plan plan_;
  TestWeights weights_;

 private:
  size_t IndexOf(const std::string& name) const {
    const auto& all = plan_.parameters;
    const auto p =
        std::find_if(all.begin(), all.end(), [&](const auto& q) { return q.name == name; });
    EXPECT_NE(p, all.end()) << name;
    return p - all.begin();
  }
};

TEST_P(DiagnosisTest, FindsNothingInASoundStep) {
  const uint64_t found = Marks::Count(kMark);
  EXPECT_FALSE(Find().has_value());
  EXPECT_EQ(Marks::Count(kMark), found);
}

TEST_P(DiagnosisTest, LooksOnlyWhenAsked) {
  Values("h.1.ln_1.weight")[3] = kNaN;
  EXPECT_FALSE(Find(/*diagnose=*/false).has_value());
}

TEST_P(DiagnosisTest, NamesWeightsThatArriveBad) {
  // The last row, in the last of several tiles.
  std::vector<float>& values = Values("h.1.mlp.c_fc.weight");
  values.back() = kNaN;
  const auto found = Find();
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->where(), "weights of " + Tile("h.1.mlp.c_fc.weight", 127) + " as received");
  EXPECT_EQ(found->micro_batch(), 4u);
  EXPECT_EQ(found->order(), FirstOrderOf("h.1.mlp.c_fc.weight") + 3);
  EXPECT_GT(Marks::Count(kMark), 0u);
}

TEST_P(DiagnosisTest, NamesTheProductThatOverflows) {
  // Finite weights whose product with the norm's output is not; in row 40 of the second tile.
  std::vector<float>& values = Values("h.0.mlp.c_fc.weight");
  std::fill_n(values.begin() + ptrdiff_t{40} * 32, 32, 0.9f * std::numeric_limits<float>::max());
  const auto found = Find();
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->where(), "forward, " + Tile("h.0.mlp.c_fc.weight", 40));
  EXPECT_EQ(found->micro_batch(), 4u);
  EXPECT_EQ(found->order(), FirstOrderOf("h.0.mlp.c_fc.weight") + 1);
}

TEST_P(DiagnosisTest, NamesTheMicroBatch) {
  // A huge embedding of one token overflows the first norm of those that have it.
  for (int32_t token = 0; token < 64; ++token) {
    std::vector<uint32_t> with;
    for (uint32_t n = 4; n < 8; ++n) {
      const auto tokens = TestSequence(plan_, n, false);
      if (std::find(tokens.begin(), tokens.end() - 1, token) != tokens.end() - 1) with.push_back(n);
    }
    if (with.empty() || with[0] == 4) continue;
    std::vector<float>& wte = Values("wte.weight");
    for (int i = 0; i < 32; ++i) {
      wte[token * 32 + i] = (i % 2 == 0 ? 0.9f : -0.9f) * std::numeric_limits<float>::max();
    }
    const auto found = Find();
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->where(), "forward, " + Tile("h.0.ln_1.weight"));
    EXPECT_EQ(found->micro_batch(), with[0]);
    EXPECT_EQ(found->order(), FirstOrderOf("h.0.ln_1.weight"));
    return;
  }
  FAIL() << "every token is in micro-batch 4";
}

// Flips the upper bit of the exponent of one number of a tile after the other, until one of them
// was in [1, 2), and so becomes infinite or NaN.
std::optional<NonFinite> DiagnosisTest::FlipUntilFound(FaultSpec::What what, int tile) {
  for (uint64_t element = 0; element < 256; ++element) {
    const auto found = Find(
        true,
        FaultSpec{
            .role = "wafer", .node_id = "", .what = what, .tile = tile, .bit = 32 * element + 30});
    if (found.has_value()) return found;
  }
  return std::nullopt;
}

TEST_P(DiagnosisTest, NamesTheActivationThatAMachineSpoils) {
  const std::string name = "h.0.attn.c_attn.weight";
  const auto found = FlipUntilFound(FaultSpec::What::kActivation, FirstTileOf(name));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->where(), "forward, " + Tile(name));
  EXPECT_EQ(found->micro_batch(), 4u);
  EXPECT_FALSE(Find().has_value()) << "another machine computes it right";
}

TEST_P(DiagnosisTest, NamesTheGradientThatAMachineSpoils) {
  for (float& gain : Values("ln_f.weight")) gain *= 1000;  // makes gradients as large as 1
  const std::string name = "h.1.mlp.c_proj.weight";
  const auto found = FlipUntilFound(FaultSpec::What::kGradient, FirstTileOf(name));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->where(), "backward, " + Tile(name));
  EXPECT_EQ(found->micro_batch(), 4u);
  EXPECT_GT(found->order(), plan_.program.forward.size());
  EXPECT_FALSE(Find().has_value());
}

TEST_P(DiagnosisTest, NamesTheLoss) {
  // The final norm gives its bias, 1 in the first place; then every logit is finite, but no loss.
  MakePlan(/*tied=*/false);
  std::fill_n(Values("ln_f.weight").begin(), 32, 0.0f);
  std::fill_n(Values("ln_f.bias").begin(), 32, 0.0f);
  Values("ln_f.bias")[0] = 1;
  std::vector<float>& head = Values("lm_head.weight");
  for (size_t id = 0; id < 64; ++id) head[id * 32] = id == 63 ? 3e38f : -3e38f;
  const auto found = Find();
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->where(), "loss");
  EXPECT_EQ(found->order(), plan_.program.forward.size() - 1);
}

INSTANTIATE_TEST_SUITE_P(, DiagnosisTest,
                         testing::Values(RECOMPUTE_NONE, RECOMPUTE_SELECTIVE, RECOMPUTE_FULL),
                         [](const auto& info) { return Recompute_Name(info.param); });

}  // namespace
}  // namespace waferstream
