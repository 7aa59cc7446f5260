// What the wafer computes: against a plain implementation, and against itself under every change
// that must not change a bit.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "plan/test_job.h"
#include "plan/test_untrained.h"
#include "wafer_node/fake_parent.h"
#include "wafer_node/naive_gpt2.h"

namespace waferstream {
namespace {

using Gradients = std::map<std::pair<int, int>, std::vector<float>>;

struct Outcome {
  Gradients gradients;
  std::map<uint32_t, double> losses;  // by micro-batch
};

JobSpec OneStep() {
  JobSpec job = TestJob();
  job.mutable_training()->set_steps(1);
  return job;
}

Plan MustCompile(const JobSpec& job, int wafers = 1) {
  auto plan = Compile(job, {.wafers = wafers, .memoryx = 1, .swarmx = 1});
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *std::move(plan);
}

// One step on all wafers of the plan.
Outcome RunStep(const Plan& plan, const TestWeights& weights, int threads = 1) {
  std::vector<std::unique_ptr<FakeParent>> parents;
  std::vector<const FakeParent*> views;
  Outcome outcome;
  for (int wafer = 0; wafer < plan.shape.wafers; ++wafer) {
    parents.push_back(std::make_unique<FakeParent>(
        plan, weights, FakeParent::Options{.wafer = wafer, .threads = threads}));
    parents.back()->Run();
    views.push_back(parents.back().get());
    const WaferStep& step = parents.back()->reports().at(0).wafer_step();
    for (int i = 0; i < step.micro_batch_size(); ++i) {
      outcome.losses[step.micro_batch(i)] = step.loss_sum(i);
    }
  }
  outcome.gradients = TotalGradients(plan, views, 0);
  return outcome;
}

void ExpectSameBits(const Outcome& a, const Outcome& b) {
  EXPECT_EQ(a.losses, b.losses);
  ASSERT_EQ(a.gradients.size(), b.gradients.size());
  for (const auto& [key, values] : a.gradients) {
    EXPECT_EQ(values, b.gradients.at(key)) << "tile " << key.first << " " << key.second;
  }
}

NaiveWeights ToNaive(const Plan& plan, const TestWeights& weights) {
  NaiveWeights naive;
  for (size_t i = 0; i < weights.size(); ++i) {
    naive[plan.parameters[i].name] = {weights[i].begin(), weights[i].end()};
  }
  return naive;
}

double NaiveMeanLoss(const Plan& plan, const NaiveWeights& weights) {
  double sum = 0;
  const uint32_t batch = plan.job.training().global_batch();
  for (uint32_t n = 0; n < batch; ++n) {
    const auto sequence = TestSequence(plan, n, false);
    sum += NaiveLoss(plan.job.model(), weights, {sequence.begin(), sequence.end() - 1},
                     {sequence.begin() + 1, sequence.end()});
  }
  return sum / (batch * plan.job.model().context());
}

// The gradient of one parameter, its contributions added.
std::vector<double> GradientOf(const Plan& plan, const Gradients& gradients, int parameter) {
  const Parameter& p = plan.parameters[parameter];
  std::vector<double> all(p.rows * p.cols);
  for (const auto& [key, values] : gradients) {
    const Tile& tile = plan.tiles[key.first];
    if (tile.parameter != parameter) continue;
    for (size_t i = 0; i < values.size(); ++i) all[tile.first_row * p.cols + i] += values[i];
  }
  return all;
}

double Dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// The derivative of the plain loss when `values` moves along `direction`.
double Slope(const Plan& plan, NaiveWeights& weights, std::vector<double>& values,
             const std::vector<double>& direction) {
  const std::vector<double> at = values;
  const auto loss = [&](double distance) {
    for (size_t i = 0; i < values.size(); ++i) values[i] = at[i] + distance * direction[i];
    return NaiveMeanLoss(plan, weights);
  };
  constexpr double kDistance = 1e-4;
  const double slope = (loss(kDistance) - loss(-kDistance)) / (2 * kDistance);
  values = at;
  return slope;
}

class AgainstNaive : public testing::TestWithParam<bool> {};

TEST_P(AgainstNaive, LossAndGradientsAgree) {
  JobSpec job = OneStep();
  job.mutable_model()->set_tied(GetParam());
  job.mutable_training()->set_global_batch(6);
  job.mutable_training()->set_micro_batch(2);
  const Plan plan = MustCompile(job);
  const TestWeights weights = MakeWeights(plan, 1);
  const Outcome outcome = RunStep(plan, weights);
  NaiveWeights naive = ToNaive(plan, weights);

  double sum = 0;
  for (const auto& [micro_batch, loss] : outcome.losses) sum += loss;
  const double tokens = 6.0 * plan.job.model().context();
  EXPECT_NEAR(sum / tokens, NaiveMeanLoss(plan, naive), 1e-6);

  for (size_t p = 0; p < weights.size(); ++p) {
    const std::vector<double> gradient = GradientOf(plan, outcome.gradients, static_cast<int>(p));
    const double norm = std::sqrt(Dot(gradient, gradient));
    ASSERT_GT(norm, 0) << plan.parameters[p].name;
    // Along itself a gradient that is too long, or not all of whose parts are right, shows; across
    // random signs one of which parts are missing.
    std::vector<double> along = gradient, across(gradient.size());
    for (double& x : along) x /= norm;
    uint32_t bits = 12345;
    for (double& x : across) {
      bits = bits * 1664525 + 1013904223;
      x = (bits >> 31 ? 1 : -1) / std::sqrt(static_cast<double>(across.size()));
    }
    std::vector<double>& values = naive[plan.parameters[p].name];
    EXPECT_NEAR(Slope(plan, naive, values, along), norm, 1e-4 * norm) << plan.parameters[p].name;
    EXPECT_NEAR(Slope(plan, naive, values, across), Dot(gradient, across), 1e-4 * norm)
        << plan.parameters[p].name;
  }
}

INSTANTIATE_TEST_SUITE_P(Tied, AgainstNaive, testing::Bool());

class SameBits : public testing::TestWithParam<Precision> {
 protected:
  JobSpec Job() const {
    JobSpec job = OneStep();
    job.mutable_training()->set_precision(GetParam());
    return job;
  }
};

TEST_P(SameBits, ForEveryRecompute) {
  JobSpec job = Job();
  Outcome outcomes[3];
  const Recompute modes[] = {RECOMPUTE_NONE, RECOMPUTE_SELECTIVE, RECOMPUTE_FULL};
  for (int i = 0; i < 3; ++i) {
    job.mutable_training()->set_recompute(modes[i]);
    const Plan plan = MustCompile(job);
    outcomes[i] = RunStep(plan, MakeWeights(plan, 2));
  }
  ExpectSameBits(outcomes[0], outcomes[1]);
  ExpectSameBits(outcomes[0], outcomes[2]);
}

TEST_P(SameBits, ForEveryNumberOfThreads) {
  JobSpec job = Job();
  // More than one unit of rows, of a tile and of the head; ragged ones.
  job.mutable_model()->set_context(300);
  job.mutable_model()->set_vocab(1100);
  job.mutable_training()->set_global_batch(4);
  job.mutable_training()->set_micro_batch(2);
  job.mutable_training()->set_tile_elements(35000);
  job.mutable_cluster()->mutable_wafer()->set_kernel_threads(3);
  const Plan plan = MustCompile(job);
  const TestWeights weights = MakeWeights(plan, 3);
  const Outcome one = RunStep(plan, weights, 1);
  ExpectSameBits(one, RunStep(plan, weights, 2));
  ExpectSameBits(one, RunStep(plan, weights, 3));
}

TEST_P(SameBits, ForEveryNumberOfWafersAndWaves) {
  JobSpec job = Job();
  job.mutable_training()->set_global_batch(7);
  const Plan whole = MustCompile(job);
  const TestWeights weights = MakeWeights(whole, 4);
  const Outcome one = RunStep(whole, weights);
  for (int wafers : {2, 3, 8}) ExpectSameBits(one, RunStep(MustCompile(job, wafers), weights));
  // The smallest SRAM of all: waves of a single micro-batch.
  job.mutable_training()->set_recompute(RECOMPUTE_SELECTIVE);
  Plan tight = MustCompile(job);
  while (true) {
    job.mutable_cluster()->mutable_wafer()->set_sram_bytes(SramNeeded(tight) - 1);
    auto tighter = Compile(job, {});
    if (!tighter.ok()) break;
    tight = *std::move(tighter);
    ExpectSameBits(one, RunStep(tight, weights));
  }
  EXPECT_EQ(tight.waves, 7);
}

INSTANTIATE_TEST_SUITE_P(Precisions, SameBits, testing::Values(F32, BF16));

// What is trained has the gradients that it has when all is; what is not has none. One parameter of
// three is trained.
TEST(Untrained, TheOthersGetTheSameBits) {
  for (const char* family : {"gpt2", "gptj", "llama"}) {
    JobSpec job = OneStep();
    job.mutable_model()->set_family(family);
    job.mutable_model()->set_tied(std::string_view(family) == "gpt2");
    const Plan all = MustCompile(job);
    const TestWeights weights = MakeWeights(all, 6);
    const Outcome full = RunStep(all, weights);
    for (const size_t rest : {0, 1, 2}) {
      const auto some = CompileUntrained(job, {}, [&](size_t p) { return p % 3 == rest; });
      ASSERT_TRUE(some.ok()) << some.status();
      Outcome expected = full;
      std::erase_if(expected.gradients, [&](const auto& gradient) {
        return !some->parameters[some->tiles[gradient.first.first].parameter].trained;
      });
      ASSERT_LT(expected.gradients.size(), full.gradients.size());
      ExpectSameBits(RunStep(*some, weights), expected);
    }
  }
}

TEST(Bf16, StaysCloseToF32) {
  JobSpec job = OneStep();
  const Plan f32 = MustCompile(job);
  job.mutable_training()->set_precision(BF16);
  const Plan bf16 = MustCompile(job);
  const TestWeights weights = MakeWeights(f32, 5);
  const Outcome exact = RunStep(f32, weights), rounded = RunStep(bf16, weights);
  double exact_sum = 0, rounded_sum = 0;
  for (const auto& [micro_batch, loss] : exact.losses) exact_sum += loss;
  for (const auto& [micro_batch, loss] : rounded.losses) rounded_sum += loss;
  EXPECT_NE(exact_sum, rounded_sum);
  EXPECT_NEAR(rounded_sum / exact_sum, 1, 0.01);
}

}  // namespace
}  // namespace waferstream
