// A generation job on a scripted cluster.
#include <cstdint>

#include "controller/controller_core.h"
#include "controller/fake_cluster.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;

JobSpec GenerationJob() {
  JobSpec job = SmallJob();
  job.mutable_generate()->add_prompt(1);
  job.mutable_generate()->set_tokens(3);
  job.mutable_checkpoint()->set_from("/checkpoint");
  return job;
}

absl::Status ReportToken(FakeCluster& cluster, const char* node, uint64_t index, uint32_t token) {
  NodeReport report = cluster.MakeReport("job-1-t", node);
  report.mutable_generated_token()->set_index(index);
  report.mutable_generated_token()->set_token(token);
  return cluster.Report(report);
}

TEST(ControllerCore, AGenerationJobCollectsItsTokens) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(GenerationJob());
  cluster.SettleCalls();
  ASSERT_EQ(cluster.Job().state(), RUNNING) << cluster.Job().reason();
  EXPECT_EQ(cluster.Job().steps(), 3u);
  for (uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(cluster.Job().generated_size(), static_cast<int>(i));
    for (const char* node : {"w0", "w1"}) {
      ASSERT_TRUE(ReportToken(cluster, node, i, 40 + i).ok());
    }
  }
  EXPECT_EQ(cluster.Job().state(), DONE);
  EXPECT_THAT(cluster.Job().generated(), ElementsAre(40, 41, 42));
  cluster.SettleCalls();
  EXPECT_TRUE(AllIdle(cluster));
}

TEST(ControllerCore, AGenerationEndsWithATokenThatStopsIt) {
  FakeCluster cluster;
  cluster.AddNodes();
  JobSpec job = GenerationJob();
  job.mutable_generate()->add_stop(7);
  job.mutable_generate()->add_stop(41);
  cluster.Submit(job);
  cluster.SettleCalls();
  ASSERT_TRUE(ReportToken(cluster, "w0", 0, 40).ok());
  EXPECT_EQ(cluster.Job().state(), RUNNING);
  ASSERT_TRUE(ReportToken(cluster, "w0", 1, 41).ok());
  EXPECT_EQ(cluster.Job().state(), DONE);
  EXPECT_THAT(cluster.Job().generated(), ElementsAre(40, 41));
  cluster.SettleCalls();
  EXPECT_TRUE(AllIdle(cluster));
}

TEST(ControllerCore, WafersThatGenerateDifferentTokensBeginAgain) {
  FakeCluster cluster;
  cluster.AddNodes();
  cluster.Submit(GenerationJob());
  cluster.SettleCalls();
  ASSERT_TRUE(ReportToken(cluster, "w0", 0, 40).ok());
  ASSERT_TRUE(ReportToken(cluster, "w1", 0, 41).ok());
  EXPECT_THAT(cluster.events, Contains("job-1-t: w1 generated 41 as token 0, another node 40; the "
                                       "step is done again"));
  EXPECT_EQ(cluster.Job().generated_size(), 0);
}

}  // namespace
}  // namespace waferstream
