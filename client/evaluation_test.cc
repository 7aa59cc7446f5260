#include "client/evaluation.h"

#include "gtest/gtest.h"

namespace waferstream {
namespace {

TEST(Evaluation, NoCheckpoint) {
  EvaluationRequest request;
  request.checkpoint = testing::TempDir() + "/nothing";
  EXPECT_FALSE(EvaluationJob(request).ok());
}

JobStatus Status(uint64_t tokens_in_file) {
  JobStatus status;
  status.mutable_job()->mutable_model()->set_context(8);
  status.mutable_job()->mutable_data()->mutable_validation_content()->set_tokens(tokens_in_file);
  return status;
}

TEST(Evaluation, WholeSequencesAreMeasured) {
  EXPECT_EQ(TokensMeasured(Status(0).job()), 0u);
  EXPECT_EQ(TokensMeasured(Status(9).job()), 8u);
  EXPECT_EQ(TokensMeasured(Status(16).job()), 8u);
  EXPECT_EQ(TokensMeasured(Status(17).job()), 16u);
}

TEST(Evaluation, PerplexityIsOfTheMean) {
  JobStatus status = Status(17);
  EXPECT_TRUE(EvaluationJson(status)["loss"].is_null());
  EXPECT_TRUE(EvaluationJson(status)["perplexity"].is_null());
  EXPECT_EQ(EvaluationTable(status), "");
  status.set_has_val_loss(true);
  status.set_val_loss(2);
  const Json json = EvaluationJson(status);
  EXPECT_EQ(json["loss"], 2);
  EXPECT_NEAR(json["perplexity"].get<double>(), 7.389056, 1e-6);
  EXPECT_EQ(json["tokens"], 16);
  EXPECT_EQ(EvaluationTable(status), "loss        2.000000\nperplexity  7.38906\ntokens      16\n");
}

}  // namespace
}  // namespace waferstream
