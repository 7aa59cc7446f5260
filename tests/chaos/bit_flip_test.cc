// Machines that lie: builds of the nodes that flip one bit where no checksum of the wire sees it.
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/chaos/chaos_cluster.h"
#include "tests/chaos/chaos_job.h"

namespace waferstream {
namespace {

// As many micro-batches as wafers: then each wafer checks one, and all are verified.
const std::vector<std::string> kVerified = {"training.global_batch=3", "cluster.wafers.max=3",
                                            "training.verify=1"};

class LyingWaferTest : public testing::TestWithParam<std::string> {};

TEST_P(LyingWaferTest, IsFoundAndCordoned) {
  ChaosCluster cluster("lying_wafer_" + GetParam(),
                       {.shape = {.wafers = 3, .memoryx = 1, .swarmx = 1},
                        .faulty = "wafer-1",
                        .flip = "wafer@wafer-1:what=" + GetParam() + ",tile=11,step=20,bit=1014"});
  const std::string job_id = cluster.Submit(ChaosJob(cluster, kVerified));
  const JobStatus job = cluster.AwaitEnd(job_id);
  ExpectSameResult(job, {"training.global_batch=3"});
  EXPECT_GT(job.redone_steps(), 0u) << "the flip was never noticed";
  EXPECT_TRUE(cluster.Node("wafer-1").cordoned()) << cluster.Events(job_id);
  EXPECT_NE(cluster.Node("wafer-1").note(), "");
  EXPECT_FALSE(cluster.Node("wafer-0").cordoned());
  EXPECT_FALSE(cluster.Node("wafer-2").cordoned());
}

INSTANTIATE_TEST_SUITE_P(All, LyingWaferTest, testing::Values("gradient", "activation", "weights"),
                         [](const auto& info) { return info.param; });

TEST(ForgetfulMemoryxTest, ABitFlippedAtRestCostsACopyAndNotABit) {
  ChaosCluster cluster("forgetful_memoryx",
                       {.shape = {.wafers = 2, .memoryx = 2, .swarmx = 1},
                        .faulty = "memoryx-0",
                        .flip = "memoryx@memoryx-0:what=dram,tile=3,step=20,bit=1003"});
  const std::string job_id =
      cluster.Submit(ChaosJob(cluster, {"cluster.memoryx.nodes=2", "cluster.memoryx.replicas=2"}));
  const JobStatus job = cluster.AwaitEnd(job_id);
  ExpectSameResult(job);
  EXPECT_GT(job.epoch(), 1u) << "the flip was never noticed";
}

}  // namespace
}  // namespace waferstream
