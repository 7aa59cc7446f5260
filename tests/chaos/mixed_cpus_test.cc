// Wafers of unlike CPUs in one job: processes that are held to different instruction sets.
#include <stdlib.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "plan/kernel_order.h"
#include "tests/chaos/chaos_cluster.h"
#include "tests/chaos/chaos_job.h"
#include "wafer_node/kernels/isa.h"

namespace waferstream {
namespace {

// What is started while it lives is held to this level.
class HeldTo {
 public:
  explicit HeldTo(const std::string& level) { setenv(kVariable, level.c_str(), 1); }
  ~HeldTo() { unsetenv(kVariable); }

 private:
  static constexpr char kVariable[] = "WAFERSTREAM_KERNEL_ISA";
};

// Of this CPU, those that a portable job may have.
std::vector<std::string> LevelsWithFusedSums() {
  std::vector<std::string> levels = AvailableKernelIsas();
  std::erase(levels, "sse4");
  return levels;
}

class MixedCpusTest : public ::testing::TestWithParam<std::string> {};

TEST_P(MixedCpusTest, APortableJobEndsInOneHash) {
  const std::vector<std::string> levels = LevelsWithFusedSums();
  if (levels.size() < 2) GTEST_SKIP() << "this CPU has no two levels with fused multiply-adds";
  const std::vector<std::string> portable = {"training.kernels=portable",
                                             "training.precision=" + GetParam()};
  ChaosCluster cluster("mixed", {.shape = {.wafers = 0, .memoryx = 1, .swarmx = 1}});
  for (int i = 0; i < 2; ++i) {
    const HeldTo held(i == 0 ? levels.front() : levels.back());
    cluster.Start("wafer-" + std::to_string(i));
  }
  const JobStatus job = cluster.AwaitEnd(cluster.Submit(ChaosJob(cluster, portable)));
  EXPECT_EQ(job.kernel_isa(), kPortableKernels);
  ExpectSameResult(job, portable);
}

TEST_P(MixedCpusTest, AWaferWithoutFusedSumsIsNotTaken) {
  if (LevelsWithFusedSums().empty()) GTEST_SKIP() << "this CPU has no fused multiply-adds";
  const std::vector<std::string> portable = {"training.kernels=portable",
                                             "training.precision=" + GetParam()};
  ChaosCluster cluster("mixed_old", {.shape = {.wafers = 1, .memoryx = 1, .swarmx = 1}});
  {
    const HeldTo held("sse4");
    cluster.Start("wafer-1");
  }
  std::vector<std::string> with_one = portable;
  with_one.push_back("cluster.wafers.min=1");
  const std::string job_id = cluster.Submit(ChaosJob(cluster, with_one));
  cluster.Await(job_id, [](const JobStatus& job) { return job.step() > 2; });
  EXPECT_EQ(cluster.Get(job_id).wafers(), 1u);
  EXPECT_EQ(cluster.Node("wafer-1").state(), IDLE);
  ExpectSameResult(cluster.AwaitEnd(job_id), portable);
}

INSTANTIATE_TEST_SUITE_P(, MixedCpusTest, ::testing::Values("f32", "bf16"),
                         [](const auto& info) { return info.param; });

TEST(OldCpusTest, APortableJobSaysWhatTheyLack) {
  const HeldTo held("sse4");
  ChaosCluster cluster("old", {.shape = {.wafers = 2, .memoryx = 1, .swarmx = 1}});
  const JobStatus job =
      cluster.AwaitEnd(cluster.Submit(ChaosJob(cluster, {"training.kernels=portable"})));
  EXPECT_EQ(job.state(), FAILED);
  EXPECT_TRUE(absl::StartsWith(job.reason(), kPortableNeeds)) << job.reason();
}

}  // namespace
}  // namespace waferstream
