// The costs are checked against the formulas of docs/adr/0003-streams-and-traffic.md, computed here
// from the shapes alone; the report against the costs.
#include "plan/plan_report.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "plan/links.h"
#include "plan/optimizer_state.h"
#include "plan/plan_costs.h"
#include "plan/test_job.h"

namespace waferstream {
namespace {

constexpr int64_t kLayers = 2, kHidden = 32, kFfn = 128, kVocab = 64, kContext = 16;  // TestJob()

// Elements of a layer's matrices; of its vectors; of those vectors, the gains of norms.
constexpr int64_t kMatrices = 4 * kHidden * kHidden + 2 * kHidden * kFfn;
constexpr int64_t kVectors = 4 * kHidden + 5 * kHidden + kFfn;
constexpr int64_t kGains = 2 * kHidden;
constexpr int64_t kWte = kVocab * kHidden, kWpe = kContext * kHidden;
constexpr int64_t kParameters = kWte + kWpe + kLayers * (kMatrices + kVectors) + 2 * kHidden;

Plan MustCompile(const JobSpec& job, const ClusterShape& shape = {}) {
  auto plan = Compile(job, shape);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *std::move(plan);
}

TEST(PlanCosts, StreamsFollowTheFormulasOfTheTiedModel) {
  JobSpec job = TestJob();
  job.mutable_training()->set_recompute(RECOMPUTE_NONE);
  const Plan plan = MustCompile(job);
  ASSERT_EQ(plan.parameter_elements, kParameters);
  const StepTraffic t = CostsOf(plan).traffic;
  EXPECT_EQ(t.forward_stream, 4u * (kParameters + kWte));  // wte: lookup, then logits
  EXPECT_EQ(t.backward_stream, 4u * (kWte + kLayers * (kMatrices + kGains) + kHidden));
  EXPECT_EQ(t.gradient_stream, 4u * (kParameters + kWte));  // two contributions
}

TEST(PlanCosts, StreamsFollowTheFormulasOfTheUntiedModel) {
  JobSpec job = TestJob();
  job.mutable_model()->set_tied(false);
  job.mutable_training()->set_precision(BF16);
  job.mutable_training()->set_recompute(RECOMPUTE_FULL);
  const Plan plan = MustCompile(job);
  const StepTraffic t = CostsOf(plan).traffic;
  EXPECT_EQ(t.forward_stream, 2u * (kParameters + kWte));  // lm_head is as large as wte
  // All vectors of a layer but the bias of mlp.c_proj are needed to make its activations again.
  EXPECT_EQ(t.backward_stream, 2u * (kWte + kLayers * (kMatrices + kVectors - kHidden) + kHidden));
  EXPECT_EQ(t.gradient_stream, 4u * (kParameters + kWte));  // fp32 whatever the wire
}

TEST(PlanCosts, WavesMultiplyTheWeightsAndTheBlocks) {
  JobSpec job = TestJob();
  const Plan one = MustCompile(job);
  ASSERT_EQ(one.waves, 1);
  EXPECT_EQ(CostsOf(one).traffic.gradients_to_memoryx, CostsOf(one).traffic.gradient_stream);
  job.mutable_cluster()->mutable_wafer()->set_sram_bytes(SramNeeded(one) - 1);
  job.mutable_training()->set_recompute(RECOMPUTE_NONE);
  const Plan more = MustCompile(job);
  ASSERT_GT(more.waves, 1);
  const StepTraffic t = CostsOf(more).traffic;
  EXPECT_EQ(t.weights_to_wafer, more.waves * (t.forward_stream + t.backward_stream));
  EXPECT_GE(t.gradients_to_memoryx, more.waves * t.gradient_stream);
}

TEST(PlanCosts, PowersOfTwoSendOneBlockEach) {
  const Plan plan = MustCompile(TestJob(), {.wafers = 4, .memoryx = 2, .swarmx = 2});
  const StepTraffic t = CostsOf(plan).traffic;
  EXPECT_EQ(t.gradients_from_wafer, t.gradient_stream);
  EXPECT_EQ(t.gradients_to_memoryx, t.gradient_stream);
}

TEST(PlanCosts, MemoryXStateIsSixteenBytesAParameterForAdamW) {
  JobSpec job = TestJob();
  const ClusterShape three{.wafers = 1, .memoryx = 3, .swarmx = 1};
  uint64_t state = 0;
  for (const ResidentBytes& p : CostsOf(MustCompile(job, three)).memoryx) state += p.state();
  EXPECT_EQ(state, 16u * kParameters + 4u * kWte);  // the tied wte has two gradients
  job.mutable_training()->mutable_optimizer()->mutable_sgd()->set_lr(0.1);
  EXPECT_EQ(CostsOf(MustCompile(job)).memoryx[0].state(), 8u * kParameters + 4u * kWte);
  job.mutable_training()->mutable_optimizer()->mutable_sgd()->set_momentum(0.9);
  EXPECT_EQ(CostsOf(MustCompile(job)).memoryx[0].state(), 12u * kParameters + 4u * kWte);
  job.mutable_generate()->add_prompt(1);
  job.mutable_generate()->set_tokens(1);
  EXPECT_EQ(CostsOf(MustCompile(job)).memoryx[0].state(), 4u * kParameters);
}

// Adafactor: 8 bytes, a row's and a column's, and 12 of a vector. Muon: 12 bytes of its own, and
// the workspace of the largest.
TEST(PlanCosts, MemoryXStateOfWholeTiles) {
  JobSpec job = TestJob();
  const AdamW adamw = job.training().optimizer().adamw();
  job.mutable_training()->set_tile_elements(4096);
  Adafactor* adafactor = job.mutable_training()->mutable_optimizer()->mutable_adafactor();
  adafactor->set_lr(0.1);
  adafactor->set_beta2_decay(-0.8);
  adafactor->set_eps(1e-3);
  adafactor->set_clip_threshold(1);
  const Plan factored = MustCompile(job);
  uint64_t kept = 0, own = 0;
  for (const Parameter& p : factored.parameters) {
    kept += 4 * (p.two_dimensional ? p.rows + p.cols : p.rows);
    const bool embeds = p.name == "wte.weight" || p.name == "wpe.weight";
    if (p.two_dimensional && !embeds) own += p.rows * p.cols;
  }
  EXPECT_EQ(CostsOf(factored).memoryx[0].state(), 8u * kParameters + 4u * kWte + kept);

  Muon* muon = job.mutable_training()->mutable_optimizer()->mutable_muon();
  muon->set_lr(0.1);
  *muon->mutable_rest() = adamw;
  const PlanCosts costs = CostsOf(MustCompile(job));
  const uint64_t workspace = 4 * (2 * 128 * 32 + 2 * 32 * 32);
  EXPECT_EQ(costs.memoryx[0].workspace, workspace);
  EXPECT_EQ(costs.memoryx[0].state(), 16u * kParameters - 4 * own + 4u * kWte + workspace);
  // Each of two owners has one for each of its shards.
  job.mutable_cluster()->set_memoryx(2);
  job.mutable_cluster()->set_replicas(2);
  const Plan twice = MustCompile(job, {.wafers = 1, .memoryx = 2, .swarmx = 1});
  for (const ResidentBytes& p : CostsOf(twice).memoryx) {
    EXPECT_EQ(p.workspace,
              4 * static_cast<uint64_t>(WorkspaceElements(twice, 0) + WorkspaceElements(twice, 1)));
  }
}

TEST(PlanCosts, SixFlopsAParameterAndTokenForALargeModel) {
  JobSpec job = TestJob();
  ModelSpec* model = job.mutable_model();
  model->set_hidden(1024);
  model->set_ffn(4096);
  model->set_layers(24);
  job.mutable_training()->set_tile_elements(1 << 20);
  job.mutable_cluster()->mutable_wafer()->set_sram_bytes(uint64_t{1} << 32);
  const Plan plan = MustCompile(job);
  const double tokens = 8.0 * kContext;
  EXPECT_NEAR(CostsOf(plan).step_flops, 6.0 * plan.parameter_elements * tokens,
              0.02 * CostsOf(plan).step_flops);
}

TEST(PlanReport, JsonAndTextCarryTheCosts) {
  JobSpec job = TestJob();
  job.mutable_cluster()->set_planes(2);
  const Plan plan = MustCompile(job, {.wafers = 5, .memoryx = 2, .swarmx = 3});
  const PlanCosts costs = CostsOf(plan);
  const auto json = PlanAsJson(plan);
  EXPECT_EQ(json["parameters"], kParameters);
  EXPECT_EQ(json["traffic"]["weights_to_each_wafer_bytes"], costs.traffic.weights_to_wafer);
  EXPECT_EQ(json["memoryx"]["processes"].size(), 2u);
  EXPECT_EQ(json["swarmx"]["processes"].size(), 3u);
  EXPECT_EQ(json["trees"]["levels"], 2);
  EXPECT_EQ(json["trees"]["nodes_per_plane"], 3);
  uint64_t region_bytes = 0;
  for (const auto& region : json["sram"]["regions"])
    region_bytes += region["bytes"].get<uint64_t>();
  EXPECT_EQ(json["sram"]["planned_bytes"], region_bytes);

  const std::string text = PlanAsText(plan);
  for (const std::string& part :
       {absl::StrCat(kParameters), absl::StrCat(plan.sram.bytes, " B"),
        absl::StrCat(costs.traffic.weights_to_wafer, " B"),
        std::string("2 planes, each 3 nodes in 2 levels over 5 wafers, fan-out 4")}) {
    EXPECT_TRUE(absl::StrContains(text, part)) << part << " in\n" << text;
  }
}

TEST(PlanReport, SaysWhatAStepTakesOnLinks) {
  const Plan plan = MustCompile(TestJob(), {.wafers = 2, .memoryx = 1, .swarmx = 1});
  const LinkBound bound = LinkBoundOf(LinksOf(plan));
  const auto json = PlanAsJson(plan, 100);
  ASSERT_EQ(json["links"].size(), 4u);
  EXPECT_EQ(json["links"][1]["role"], "swarmx");
  EXPECT_EQ(json["links"][1]["sent_bytes"], LinksOf(plan)[1].sent());
  EXPECT_DOUBLE_EQ(json["link_step_seconds"], bound.bytes() * 8 / 100e6);
  EXPECT_FALSE(PlanAsJson(plan).contains("link_step_seconds"));
  const std::string text = PlanAsText(plan, 100);
  EXPECT_TRUE(absl::StrContains(text, absl::StrCat("(", bound.forward, " B forward + "))) << text;
  EXPECT_FALSE(absl::StrContains(PlanAsText(plan), "Mbit"));
}

TEST(PlanReport, SaysWhatVerificationCosts) {
  JobSpec job = TestJob();
  const ClusterShape shape{.wafers = 2, .memoryx = 1, .swarmx = 1};
  const Plan plain = MustCompile(job, shape);
  EXPECT_EQ(PlanAsJson(plain)["verified_share"], 0);
  EXPECT_FALSE(absl::StrContains(PlanAsText(plain), "verif"));

  job.mutable_training()->set_verify(0.125);
  const Plan plan = MustCompile(job, shape);
  const PlanCosts costs = CostsOf(plan);
  EXPECT_EQ(costs.verify_flops, 0.125 * (costs.step_flops + costs.recompute_flops));
  EXPECT_EQ(PlanAsJson(plan)["verified_share"], 0.125);
  EXPECT_EQ(PlanAsJson(plan)["verify_flops"], costs.verify_flops);

  // Two wafers check two of the eight micro-batches at the most.
  job.mutable_training()->set_verify(1);
  EXPECT_TRUE(absl::StrContains(PlanAsText(MustCompile(job, shape)),
                                "0.25 of the micro-batches, 1 asked for"))
      << PlanAsText(MustCompile(job, shape));
}

TEST(PlanReport, AGenerationHasNoGradients) {
  JobSpec job = TestJob();
  job.mutable_generate()->add_prompt(1);
  job.mutable_generate()->set_tokens(1);
  const std::string text = PlanAsText(MustCompile(job));
  EXPECT_TRUE(absl::StrContains(text, "Traffic a token")) << text;
  EXPECT_FALSE(absl::StrContains(text, "gradients from")) << text;
}

}  // namespace
}  // namespace waferstream
