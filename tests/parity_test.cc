// The cluster against PyTorch: losses of 20 steps and the gradients of the first, from golden files
// that tests/golden/make_goldens.py made with the reference script. Tolerances: DESIGN section 4.
#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/layout.h"
#include "checkpoint/posix_disk.h"
#include "data/job_data.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "plan/job_yaml.h"
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
  EXPECT_TRUE(RecordContent(*job).ok());
  return *job;
}

std::vector<double> GoldenLosses(const std::string& name, Precision precision) {
  std::ifstream file(CaseFolder(name) + "golden.json");
  return nlohmann::json::parse(file).at(precision == F32 ? "f32" : "bf16");
}

void ExpectLossesOfPyTorch(const std::string& name, Precision precision,
                           const ClusterShape& shape) {
  const InprocResult run = RunSmallJob(GoldenJob(name, precision), {.shape = shape});
  const std::vector<double> golden = GoldenLosses(name, precision);
  ASSERT_EQ(run.outcome.losses.size(), golden.size());
  for (size_t t = 0; t < golden.size(); ++t) {
    EXPECT_NEAR(run.outcome.losses[t], golden[t], LossTolerance(precision) * golden[t])
        << "step " << t;
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

void ExpectGradientsOfPyTorch(const std::string& name) {
  JobSpec job = OneGradient(GoldenJob(name, F32));
  job.mutable_checkpoint()->set_dir(EmptyFolder("gradients_" + name));
  const ClusterShape shape{.wafers = 2};
  const auto run = RunInproc(job, {.shape = shape});
  ASSERT_TRUE(run.ok()) << run.status();
  const auto plan = Compile(job, shape);
  const auto golden = CheckpointReader::Open(PosixDisk(), CaseFolder(name) + "gradients",
                                             job.model(), plan->parameters, {});
  ASSERT_TRUE(golden.ok()) << golden.status();
  const auto ours =
      CheckpointReader::Open(PosixDisk(), run->outcome.checkpoint, job.model(), plan->parameters,
                             OptimizerStates(job.training().optimizer()));
  ASSERT_TRUE(ours.ok()) << ours.status();
  for (size_t p = 0; p < plan->parameters.size(); ++p) {
    const Parameter& parameter = plan->parameters[p];
    std::vector<float> want(parameter.rows * parameter.cols), got(want.size());
    ASSERT_TRUE(golden->ReadWeights(p, {0, parameter.rows}, want.data()).ok());
    ASSERT_TRUE(ours->ReadState(p, 0, {0, parameter.rows}, got.data()).ok());
    const double norm = Norm(want);
    for (size_t i = 0; i < want.size(); ++i) got[i] -= want[i];
    EXPECT_LE(Norm(got), 1e-4 * norm) << parameter.name;
  }
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

// Minutes each; the target with these is tagged "long".
TEST(ParityLongTest, Gpt2InF32) { ExpectLossesOfPyTorch("gpt2_124m", F32, {.wafers = 2}); }
TEST(ParityLongTest, Gpt2InBf16) { ExpectLossesOfPyTorch("gpt2_124m", BF16, {.wafers = 2}); }

}  // namespace
}  // namespace waferstream
