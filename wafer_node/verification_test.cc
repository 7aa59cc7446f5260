// Micro-batches that two wafers compute: equal hashes from sound machines, others from one that
// flips a bit, and never another gradient.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/mark.h"
#include "plan/test_job.h"
#include "plan/verify.h"
#include "wafer_node/fake_parent.h"

namespace waferstream {
namespace {

constexpr uint64_t kSteps = 2;

Plan MustCompile(const JobSpec& job, int wafers) {
  auto plan = Compile(job, {.wafers = wafers, .memoryx = 1, .swarmx = 1});
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *std::move(plan);
}

JobSpec Job(int leaves, double verify) {
  JobSpec job = TestJob();
  job.mutable_training()->set_steps(kSteps);
  job.mutable_training()->set_global_batch(leaves);
  job.mutable_training()->set_verify(verify);
  job.mutable_training()->set_recompute(RECOMPUTE_NONE);
  return job;
}

// SRAM for one resident micro-batch only: as many waves as there can be.
JobSpec InManyWaves(JobSpec job, int wafers) {
  JobSpec one_each = job;
  one_each.mutable_training()->set_global_batch(wafers * job.training().micro_batch());
  const size_t sram_bytes = SramNeeded(MustCompile(one_each, wafers));
  job.mutable_cluster()->mutable_wafer()->set_sram_bytes(sram_bytes);
  return job;
}

// What is done differently from a sound run: the flip only by one wafer.
struct Circumstances {
  int flipping_wafer = 0;
  std::optional<FaultSpec> flip = std::nullopt;
  std::vector<uint32_t> disputed = {};
};

using Hashes = std::map<int, uint64_t>;  // by wafer

struct Outcome {
  std::map<std::pair<uint64_t, int>, Hashes> hashes;                         // by step, micro-batch
  std::vector<std::map<std::pair<int, int>, std::vector<float>>> gradients;  // by step
  std::map<std::pair<uint64_t, int>, double> losses;
};

// All wafers, to the end of the job.
Outcome RunAll(const Plan& plan, const Circumstances& how = {}) {
  const TestWeights weights = MakeWeights(plan, 1);
  std::vector<std::unique_ptr<FakeParent>> parents;
  std::vector<const FakeParent*> views;
  Outcome outcome;
  for (int wafer = 0; wafer < plan.shape.wafers; ++wafer) {
    FakeParent::Options options{.wafer = wafer, .disputed = how.disputed};
    if (wafer == how.flipping_wafer) options.flip = how.flip;
    parents.push_back(std::make_unique<FakeParent>(plan, weights, options));
    FakeParent& parent = *parents.back();
    views.push_back(&parent);
    parent.Run();
    EXPECT_TRUE(parent.AllReturned());
    EXPECT_EQ(parent.core().sram_peak_bytes(), plan.sram.bytes);
    for (const NodeReport& report : parent.reports()) {
      const WaferStep& step = report.wafer_step();
      for (const MicroBatchHash& hash : step.hashes()) {
        outcome.hashes[{step.step(), hash.micro_batch()}][wafer] = hash.hash();
      }
      for (int i = 0; i < step.micro_batch_size(); ++i) {
        const bool is_new =
            outcome.losses.try_emplace({step.step(), step.micro_batch(i)}, step.loss_sum(i)).second;
        EXPECT_TRUE(is_new) << "a loss reported twice";
      }
    }
  }
  for (uint64_t step = 0; step < plan.job.training().steps(); ++step) {
    outcome.gradients.push_back(TotalGradients(plan, views, step));
  }
  return outcome;
}

// Who is to report a hash of which micro-batch.
std::map<std::pair<uint64_t, int>, std::set<int>> Expected(
    const Plan& plan, const std::vector<uint32_t>& disputed = {}) {
  std::map<std::pair<uint64_t, int>, std::set<int>> wafers;
  for (uint64_t step = 0; step < plan.job.training().steps(); ++step) {
    for (int wave = 0; wave < plan.waves; ++wave) {
      const auto checks =
          ChecksOf(plan, step, wave, step == 0 ? disputed : std::vector<uint32_t>{});
      for (const Check& check : checks) {
        wafers[{step, check.leaf}].insert({check.owner, check.checker});
      }
    }
  }
  return wafers;
}

void ExpectAllAgree(const Outcome& outcome,
                    const std::map<std::pair<uint64_t, int>, std::set<int>>& expected) {
  std::set<uint64_t> different;
  EXPECT_EQ(outcome.hashes.size(), expected.size());
  for (const auto& [key, wafers] : expected) {
    const Hashes& hashes = outcome.hashes.at(key);
    std::set<uint64_t> values;
    std::set<int> reporters;
    for (const auto& [wafer, hash] : hashes) {
      reporters.insert(wafer);
      values.insert(hash);
    }
    EXPECT_EQ(reporters, wafers);
    EXPECT_EQ(values.size(), 1u) << "step " << key.first << ", micro-batch " << key.second;
    different.insert(*values.begin());
  }
  EXPECT_EQ(different.size(), expected.size()) << "two micro-batches have the same hash";
}

class VerificationTest : public testing::TestWithParam<std::tuple<Precision, Recompute>> {
 protected:
  JobSpec JobOf(int leaves, double verify) const {
    JobSpec job = Job(leaves, verify);
    job.mutable_training()->set_precision(std::get<0>(GetParam()));
    job.mutable_training()->set_recompute(std::get<1>(GetParam()));
    return job;
  }
};

TEST_P(VerificationTest, HashesAgreeAndNothingElseChanges) {
  for (const int leaves : {2, 7, 8}) {
    const Outcome plain = RunAll(MustCompile(JobOf(leaves, 0), 1));
    for (const int wafers : {2, 3, 5}) {
      for (const double verify : {0.3, 1.0}) {
        for (const bool many_waves : {false, true}) {
          JobSpec job = JobOf(leaves, verify);
          if (many_waves) job = InManyWaves(job, wafers);
          const Plan plan = MustCompile(job, wafers);
          SCOPED_TRACE(testing::Message() << leaves << " micro-batches, " << wafers << " wafers, "
                                          << verify << ", " << plan.waves << " waves");
          const Outcome outcome = RunAll(plan);
          ExpectAllAgree(outcome, Expected(plan));
          EXPECT_EQ(outcome.losses, plain.losses);
          EXPECT_TRUE(outcome.gradients == plain.gradients);
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, VerificationTest,
                         testing::Combine(testing::Values(F32, BF16),
                                          testing::Values(RECOMPUTE_NONE, RECOMPUTE_SELECTIVE,
                                                          RECOMPUTE_FULL)),
                         [](const auto& info) {
                           return Precision_Name(std::get<0>(info.param)) + "_" +
                                  Recompute_Name(std::get<1>(info.param));
                         });

TEST(DisputeTest, EveryWaferComputesTheMicroBatch) {
  const Plan plan = MustCompile(Job(8, 0.05), 4);
  const Outcome outcome = RunAll(plan, {.disputed = {5}});
  ASSERT_EQ(outcome.hashes.at({0, 5}).size(), 4u);
  ExpectAllAgree(outcome, Expected(plan, {5}));
  EXPECT_TRUE(outcome.gradients == RunAll(MustCompile(Job(8, 0), 1)).gradients);
}

// The tile of this parameter that holds its first row.
int TileOf(const Plan& plan, const std::string& name) {
  for (const Parameter& p : plan.parameters) {
    if (p.name == name) return p.first_tile;
  }
  ADD_FAILURE() << "no parameter " << name;
  return 0;
}

class FlipTest : public testing::TestWithParam<std::tuple<FaultSpec::What, const char*>> {};

TEST_P(FlipTest, ShowsInTheHashOfTheMachineThatFlipped) {
  // One micro-batch a wafer, and every one of them checked by the next.
  const Plan plan = MustCompile(Job(3, 1.0), 3);
  const auto [what, name] = GetParam();
  // The highest bit of the mantissa of some fp32. Not of the first row: what the first token asks
  // for makes no difference, since it sees only itself.
  const FaultSpec flip{.role = "wafer",
                       .node_id = "",
                       .what = what,
                       .tile = TileOf(plan, name),
                       .step = 1,
                       .bit = 171 * 32 + 22};
  const uint64_t flips = Marks::Count("wafer: flipped a bit");
  const Outcome sound = RunAll(plan), faulty = RunAll(plan, {.flipping_wafer = 1, .flip = flip});
  EXPECT_GT(Marks::Count("wafer: flipped a bit"), flips);
  for (const auto& [key, hashes] : sound.hashes) {
    for (const auto& [wafer, hash] : hashes) {
      // Its own micro-batch is 1. Broken weights spoil what it checks too.
      const bool lied =
          key.first == 1 && wafer == 1 && (key.second == 1 || what == FaultSpec::What::kWeights);
      EXPECT_EQ(faulty.hashes.at(key).at(wafer) != hash, lied)
          << "step " << key.first << ", micro-batch " << key.second << ", wafer " << wafer;
    }
  }
  EXPECT_TRUE(faulty.gradients[0] == sound.gradients[0]);
  EXPECT_FALSE(faulty.gradients[1] == sound.gradients[1]);
}

std::string NameOf(const testing::TestParamInfo<FlipTest::ParamType>& info) {
  constexpr const char* kWhats[] = {"activation", "weights", "gradient"};
  std::string name = std::get<1>(info.param);
  std::replace(name.begin(), name.end(), '.', '_');
  return kWhats[static_cast<int>(std::get<0>(info.param))] + ("_" + name);
}

INSTANTIATE_TEST_SUITE_P(, FlipTest,
                         testing::Combine(testing::Values(FaultSpec::What::kActivation,
                                                          FaultSpec::What::kWeights,
                                                          FaultSpec::What::kGradient),
                                          testing::Values("h.0.attn.c_attn.weight",
                                                          "h.1.mlp.c_proj.weight", "wpe.weight")),
                         NameOf);

TEST(DisputeTest, TheLiarIsTheOneThatDiffers) {
  const Plan plan = MustCompile(Job(3, 1.0), 3);
  const FaultSpec flip{.role = "wafer",
                       .node_id = "",
                       .what = FaultSpec::What::kGradient,
                       .tile = TileOf(plan, "h.0.ln_1.bias"),
                       .bit = 700};
  const Hashes hashes =
      RunAll(plan, {.flipping_wafer = 1, .flip = flip, .disputed = {1}}).hashes.at({0, 1});
  ASSERT_EQ(hashes.size(), 3u);
  EXPECT_EQ(hashes.at(0), hashes.at(2));
  EXPECT_NE(hashes.at(0), hashes.at(1));
}

}  // namespace
}  // namespace waferstream
