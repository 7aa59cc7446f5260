#include "client/evaluation.h"

#include <fstream>

#include "checkpoint/posix_disk.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

TEST(Evaluation, NoCheckpoint) {
  EvaluationRequest request;
  request.checkpoint = testing::TempDir() + "/nothing";
  EXPECT_FALSE(EvaluationJob(request).ok());
}

TEST(Evaluation, TargetsOfWholeSequencesAreMeasured) {
  const std::string path = testing::TempDir() + "/evaluation.txt";
  const auto measured = [&](int bytes) {
    std::ofstream(path) << std::string(bytes, 'a');
    JobSpec job;
    job.mutable_model()->set_context(8);
    job.mutable_model()->set_vocab(256);
    job.mutable_data()->set_validation(path);
    return TokensMeasured(PosixDisk(), job);
  };
  EXPECT_FALSE(measured(8).ok());
  EXPECT_EQ(*measured(9), 8u);
  EXPECT_EQ(*measured(16), 8u);
  EXPECT_EQ(*measured(17), 16u);
}

TEST(Evaluation, PerplexityIsOfTheMean) {
  JobStatus status;
  EXPECT_TRUE(EvaluationJson(status, 16)["loss"].is_null());
  EXPECT_TRUE(EvaluationJson(status, 16)["perplexity"].is_null());
  EXPECT_EQ(EvaluationTable(status, 16), "");
  status.set_has_val_loss(true);
  status.set_val_loss(2);
  const Json json = EvaluationJson(status, 16);
  EXPECT_EQ(json["loss"], 2);
  EXPECT_NEAR(json["perplexity"].get<double>(), 7.389056, 1e-6);
  EXPECT_EQ(json["tokens"], 16);
  EXPECT_EQ(EvaluationTable(status, 16),
            "loss        2.000000\nperplexity  7.38906\ntokens      16\n");
}

}  // namespace
}  // namespace waferstream
