// The cluster against PyTorch: losses of 20 steps and the gradients of the first, from golden files
// that tests/golden/make_goldens.py made with the reference script. Tolerances: DESIGN section 4.
#include <cmath>
#include <cstddef>
#include <fstream>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/worker_pool.h"
#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/initial_checkpoint.h"
#include "checkpoint/posix_disk.h"
#include "data/job_data.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "plan/job_yaml.h"
#include "plan/optimizer_state.h"
#include "plan/plan.h"
#include "tests/small_job.h"

namespace waferstream {
namespace {

// bf16 keeps 8 bits of a factor; over 20 steps the two orders of rounding stay within a percent.
double LossTolerance(Precision precision) { return precision == F32 ? 1e-4 : 1e-2; }

std::string CaseFolder(const std::string& name) { return "tests/golden/" + name + "/"; }

JobSpec GoldenJob(const std::string& name, Precision precision) {
  auto job = ReadJobFile(CaseFolder(name) + "job.yaml", {});
  EXPECT_TRUE(job.ok()) << job.status();
  job->mutable_training()->set_precision(precision);
  EXPECT_TRUE(RecordContent(PosixDisk(), *job).ok());
  return *job;
}

std::vector<double> GoldenLosses(const std::string& name, Precision precision) {
  std::ifstream file(CaseFolder(name) + "golden.json");
  const auto golden = nlohmann::json::parse(file);
  // A large case may have been made where PyTorch takes minutes for a bf16 step (no AVX-512). Then
  // bf16 is held to PyTorch's f32, within the same percent.
  return golden.at(precision == BF16 && golden.contains("bf16") ? "bf16" : "f32");
}

void ExpectLossesOfPyTorch(const std::string& name, Precision precision,
                           const ClusterShape& shape) {
  const InprocResult run = RunSmallJob(GoldenJob(name, precision), {.shape = shape});
  const std::vector<double> golden = GoldenLosses(name, precision);
  ASSERT_EQ(run.losses.size(), golden.size());
  for (size_t t = 0; t < golden.size(); ++t) {
    EXPECT_NEAR(run.losses[t], golden[t], LossTolerance(precision) * golden[t]) << "step " << t;
  }
  EXPECT_LT(golden.back(), golden.front());
}

// After one step of AdamW with beta1 = 0 and no clipping exp_avg is the gradient itself.
JobSpec OneGradient(JobSpec job) {
  job.mutable_training()->set_steps(1);
  job.mutable_training()->set_clip(0);
  job.mutable_training()->mutable_schedule()->Clear();
  job.mutable_training()->mutable_optimizer()->mutable_adamw()->set_beta1(0);
  return job;
}

double Norm(const std::vector<float>& x) {
  double sum = 0;
  for (const float v : x) sum += double{v} * v;
  return std::sqrt(sum);
}

using ExpectGradient = std::function<void(const Parameter&, std::vector<float> got)>;

// Runs the case's first step and calls `expect` with each parameter's gradient.
void WithGradients(const std::string& name, const ExpectGradient& expect) {
  JobSpec job = OneGradient(GoldenJob(name, F32));
  job.mutable_checkpoint()->set_dir(EmptyFolder("gradients_" + name));
  const ClusterShape shape{.wafers = 2};
  const auto run = RunInproc(job, {.shape = shape});
  ASSERT_TRUE(run.ok()) << run.status();
  const auto plan = Compile(job, shape);
  const auto ours = CheckpointReader::Open(PosixDisk(), run->checkpoint, job.model(),
                                           plan->parameters, StatesOf(*plan));
  ASSERT_TRUE(ours.ok()) << ours.status();
  for (size_t p = 0; p < plan->parameters.size(); ++p) {
    const Parameter& parameter = plan->parameters[p];
    std::vector<float> got(parameter.rows * parameter.cols);
    ASSERT_TRUE(
        ours->ReadState(p, 0, {0, parameter.rows}, reinterpret_cast<std::byte*>(got.data())).ok());
    expect(parameter, std::move(got));
  }
}

// Every value, from a checkpoint folder of gradients.
void ExpectGradientsOfPyTorch(const std::string& name) {
  const JobSpec job = GoldenJob(name, F32);
  const auto plan = Compile(job, {});
  const auto golden = CheckpointReader::Open(PosixDisk(), CaseFolder(name) + "gradients",
                                             job.model(), plan->parameters, {});
  ASSERT_TRUE(golden.ok()) << golden.status();
  int p = 0;
  WithGradients(name, [&](const Parameter& parameter, std::vector<float> got) {
    std::vector<float> want(got.size());
    ASSERT_TRUE(golden->ReadWeights(p++, {0, parameter.rows}, want.data()).ok());
    const double norm = Norm(want);
    for (size_t i = 0; i < want.size(); ++i) got[i] -= want[i];
    EXPECT_LE(Norm(got), 1e-4 * norm) << parameter.name;
  });
}

// The difference from golden samples: {"at": positions in the tensor as a file has it, "values"}.
std::vector<float> Difference(const Parameter& parameter, const std::vector<float>& got,
                              const nlohmann::json& samples) {
  const std::vector<int64_t> at = samples.at("at");
  std::vector<float> difference = samples.at("values");
  for (size_t i = 0; i < at.size(); ++i) {
    const int64_t row = at[i] % parameter.rows, col = at[i] / parameter.rows;
    difference[i] -= got[parameter.transposed_in_checkpoint ? row * parameter.cols + col : at[i]];
  }
  return difference;
}

// Of every tensor its norm, its largest values, and values anywhere, for a model whose gradients
// are too large to keep.
void ExpectSampledGradientsOfPyTorch(const std::string& name) {
  std::ifstream file(CaseFolder(name) + "gradients.json");
  const auto golden = nlohmann::json::parse(file);
  size_t parameters = 0;
  WithGradients(name, [&](const Parameter& parameter, const std::vector<float>& got) {
    SCOPED_TRACE(parameter.name);
    ++parameters;
    const auto& want = golden.at(parameter.name);
    const double norm = want.at("norm");
    EXPECT_NEAR(Norm(got), norm, 1e-4 * norm);
    EXPECT_LE(Norm(Difference(parameter, got, want.at("largest"))), 1e-4 * norm);
    const auto anywhere = Difference(parameter, got, want.at("anywhere"));
    // Had every value the samples' mean square difference, this would be the tensor's difference.
    const double share = double(anywhere.size()) / got.size();
    EXPECT_LE(Norm(anywhere), 1e-4 * norm * std::sqrt(share));
  });
  EXPECT_EQ(parameters, golden.size());
}

TEST(ParityTest, OddHeadsInF32) { ExpectLossesOfPyTorch("odd_heads", F32, {.wafers = 2}); }
TEST(ParityTest, OddHeadsInBf16) { ExpectLossesOfPyTorch("odd_heads", BF16, {.wafers = 2}); }
TEST(ParityTest, OddVocabularyInF32) {
  ExpectLossesOfPyTorch("odd_vocab", F32, {.wafers = 3, .memoryx = 2});
}
TEST(ParityTest, OddVocabularyInBf16) {
  ExpectLossesOfPyTorch("odd_vocab", BF16, {.wafers = 3, .memoryx = 2});
}
TEST(ParityTest, GradientsOfOddHeads) { ExpectGradientsOfPyTorch("odd_heads"); }
TEST(ParityTest, GradientsOfOddVocabulary) { ExpectGradientsOfPyTorch("odd_vocab"); }

// Families that are Hugging Face's, each with odd shapes.
class FamilyParityTest : public testing::TestWithParam<const char*> {};

TEST_P(FamilyParityTest, LossesInF32) {
  ExpectLossesOfPyTorch(GetParam(), F32, {.wafers = 2, .memoryx = 2});
}
TEST_P(FamilyParityTest, LossesInBf16) { ExpectLossesOfPyTorch(GetParam(), BF16, {.wafers = 3}); }
TEST_P(FamilyParityTest, Gradients) { ExpectGradientsOfPyTorch(GetParam()); }

// As `generate --logits` gives them, by the weights that the case starts from.
TEST_P(FamilyParityTest, Logits) {
  JobSpec job = GoldenJob(GetParam(), F32);
  const std::string start = EmptyFolder("logits") + "/start";
  WorkerPool workers(1);
  ASSERT_TRUE(WriteInitialCheckpoint(PosixDisk(), job, start, workers).ok());
  std::ifstream file(CaseFolder(GetParam()) + "golden.json");
  const auto golden = nlohmann::json::parse(file);
  for (const uint32_t token : golden.at("prompt")) job.mutable_generate()->add_prompt(token);
  job.mutable_generate()->set_tokens(1);
  job.mutable_generate()->set_logits(true);
  job.mutable_checkpoint()->set_from(start);
  const InprocResult run = RunSmallJob(job, {});
  const std::vector<float> want = golden.at("logits");
  ASSERT_EQ(run.logits.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(run.logits[i], want[i], 1e-4) << i;
}

INSTANTIATE_TEST_SUITE_P(Families, FamilyParityTest,
                         testing::Values("odd_gpt_neox", "odd_gpt_neox_sequential", "odd_gptj",
                                         "odd_chat", "odd_llama", "odd_mistral", "odd_mixtral",
                                         "odd_olmo2", "odd_qwen2", "odd_qwen3", "odd_qwen3_moe"));

// Against PEFT: only the adapters are trained.
class AdapterParityTest : public testing::TestWithParam<const char*> {};

TEST_P(AdapterParityTest, LossesInF32) {
  ExpectLossesOfPyTorch(GetParam(), F32, {.wafers = 2, .memoryx = 2});
}
TEST_P(AdapterParityTest, LossesInBf16) { ExpectLossesOfPyTorch(GetParam(), BF16, {.wafers = 3}); }

INSTANTIATE_TEST_SUITE_P(Adapters, AdapterParityTest,
                         testing::Values("odd_lora", "odd_lora_llama"));

// Minutes each; the target with these is tagged "long".
TEST(ParityLongTest, Gpt2InF32) { ExpectLossesOfPyTorch("gpt2_124m", F32, {.wafers = 2}); }
TEST(ParityLongTest, Gpt2InBf16) { ExpectLossesOfPyTorch("gpt2_124m", BF16, {.wafers = 2}); }
TEST(ParityLongTest, GradientsOfGpt2) { ExpectSampledGradientsOfPyTorch("gpt2_124m"); }

}  // namespace
}  // namespace waferstream
