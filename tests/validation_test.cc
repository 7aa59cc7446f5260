// The validation loss is the mean over the sequences of the file: the same on every cluster and for
// every batch, and what a plain GPT-2 in double precision says. An evaluation says the same of the
// weights.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/posix_disk.h"
#include "data/job_data.h"
#include "plan/plan.h"
#include "tests/small_job.h"
#include "wafer_node/naive_gpt2.h"

namespace waferstream {
namespace {

constexpr int kSequences = 7;  // of SmallJob's validation file; micro-batches have two

// One step that changes no weight by a bit, and a validation after it.
JobSpec Job(int leaves, uint64_t sequences, Precision precision) {
  JobSpec job = SmallJob(leaves);
  job.mutable_training()->set_steps(1);
  job.mutable_training()->clear_schedule();
  job.mutable_training()->mutable_optimizer()->mutable_sgd()->set_lr(1e-30);
  job.mutable_training()->set_precision(precision);
  job.mutable_data()->set_validation_sequences(sequences);
  return job;
}

NaiveWeights WeightsIn(const std::string& checkpoint, const Plan& plan) {
  const auto reader =
      CheckpointReader::Open(PosixDisk(), checkpoint, plan.job.model(), plan.parameters, {});
  EXPECT_TRUE(reader.ok()) << reader.status();
  NaiveWeights weights;
  for (size_t p = 0; p < plan.parameters.size(); ++p) {
    const Parameter& parameter = plan.parameters[p];
    std::vector<float> values(parameter.rows * parameter.cols);
    const RowSpan all = {0, parameter.rows};
    EXPECT_TRUE(reader->ReadWeights(static_cast<int>(p), all, values.data()).ok());
    weights[parameter.name] = {values.begin(), values.end()};
  }
  return weights;
}

// Of each sequence of the validation file: its mean loss.
std::vector<double> NaiveLosses(const Plan& plan, const NaiveWeights& weights) {
  const ModelSpec& model = plan.job.model();
  const auto file = TokenFile::Open(PosixDisk(), plan.job.data().validation());
  std::vector<double> losses;
  for (int s = 0; s < kSequences; ++s) {
    std::vector<uint32_t> tokens(model.context() + 1);
    EXPECT_TRUE((*file)->CopyTokens(int64_t{s} * model.context(), tokens).ok());
    losses.push_back(NaiveLoss(model, weights, {tokens.begin(), tokens.end() - 1},
                               {tokens.begin() + 1, tokens.end()}) /
                     model.context());
  }
  return losses;
}

double ValidationLoss(JobSpec job, const ClusterShape& shape, std::string* checkpoint = nullptr) {
  job.mutable_checkpoint()->set_dir(EmptyFolder("validation"));
  const auto run = RunInproc(job, {.shape = shape, .seed = 1});
  EXPECT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->validation_losses.size(), 1u);
  if (checkpoint != nullptr) *checkpoint = run->checkpoint;
  return run->validation_losses.at(0);
}

TEST(Validation, IsTheMeanOverTheFileWhateverTheBatchAndTheCluster) {
  for (const Precision precision : {F32, BF16}) {
    const JobSpec job = Job(2, 0, precision);
    std::string checkpoint;
    const double loss = ValidationLoss(job, {1, 1, 1}, &checkpoint);
    const Plan plan = *Compile(job, {1, 1, 1});
    double naive = 0;
    for (const double one : NaiveLosses(plan, WeightsIn(checkpoint, plan))) {
      naive += one / kSequences;
    }
    EXPECT_NEAR(loss, naive, (precision == F32 ? 1e-6 : 1e-2) * naive);
    for (const int leaves : {1, 2, 4, 5}) {
      for (const int wafers : {1, 2, 3}) {
        EXPECT_EQ(ValidationLoss(Job(leaves, 0, precision), {wafers, 2, 1}), loss)
            << leaves << " micro-batches, " << wafers << " wafers";
      }
    }
    EXPECT_EQ(ValidationLoss(Job(2, kSequences, precision), {1, 1, 1}), loss);
  }
}

TEST(Validation, AFewAreTheSameFewWhateverTheBatchAndTheCluster) {
  for (const int count : {1, 4, 5}) {
    const JobSpec job = Job(2, count, F32);
    std::string checkpoint;
    const double loss = ValidationLoss(job, {1, 1, 1}, &checkpoint);
    const Plan plan = *Compile(job, {1, 1, 1});
    const std::vector<double> of_file = NaiveLosses(plan, WeightsIn(checkpoint, plan));
    // Some choice of `count` sequences has this mean.
    bool found = false;
    for (unsigned choice = 0; choice < 1u << kSequences; ++choice) {
      if (__builtin_popcount(choice) != count) continue;
      double mean = 0;
      for (int s = 0; s < kSequences; ++s) mean += (choice >> s & 1) * of_file[s] / count;
      found = found || std::abs(mean - loss) < 1e-6 * mean;
    }
    EXPECT_TRUE(found) << count;
    for (const int leaves : {1, 4}) {
      EXPECT_EQ(ValidationLoss(Job(leaves, count, F32), {3, 1, 1}), loss);
    }
  }
}

TEST(Evaluation, IsTheValidationOfTheWeightsToTheBit) {
  for (const Precision precision : {F32, BF16}) {
    JobSpec training = SmallJob(2);
    training.mutable_training()->set_precision(precision);
    training.mutable_checkpoint()->set_dir(EmptyFolder("evaluated"));
    const auto trained = RunInproc(training, {.shape = {2, 2, 1}});
    ASSERT_TRUE(trained.ok()) << trained.status();
    JobSpec job = training;
    job.mutable_training()->set_steps(0);
    job.mutable_checkpoint()->set_dir(EmptyFolder("untouched"));
    job.mutable_checkpoint()->set_from(trained->checkpoint);
    job.mutable_data()->clear_train();
    job.mutable_training()->clear_optimizer();
    for (const ClusterShape& shape : {ClusterShape{1, 1, 1}, ClusterShape{3, 2, 2}}) {
      const auto run = RunInproc(job, {.shape = shape, .seed = 1});
      ASSERT_TRUE(run.ok()) << run.status();
      EXPECT_EQ(run->validation_losses, std::vector{trained->validation_losses.back()});
      EXPECT_EQ(run->checkpoint, "");
      EXPECT_TRUE(std::filesystem::is_empty(job.checkpoint().dir()));
    }
  }
}

}  // namespace
}  // namespace waferstream
