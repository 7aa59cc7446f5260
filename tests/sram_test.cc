// Every wafer of a cluster says that it claimed the SRAM that the plan laid out, and a job that
// cannot fit is refused before anything starts. What is really written:
// wafer_node/sram_use_test.cc.
#include <gtest/gtest.h>

#include <string>

#include "tests/small_job.h"

namespace waferstream {
namespace {

TEST(SramTest, EveryWaferReportsThePlanOfItsJob) {
  for (const Precision precision : {F32, BF16}) {
    for (const Recompute recompute : {RECOMPUTE_NONE, RECOMPUTE_SELECTIVE, RECOMPUTE_FULL}) {
      for (const int wafers : {1, 3, 7, 9}) {
        JobSpec job = SmallJob(7);
        job.mutable_training()->set_precision(precision);
        job.mutable_training()->set_recompute(recompute);
        const ClusterShape shape = {wafers, 2, 1};
        const InprocResult result = RunSmallJob(job, {.shape = shape, .seed = 1});
        EXPECT_EQ(result.sram_planned_bytes, Compile(job, shape)->sram.bytes);
        ASSERT_EQ(static_cast<int>(result.sram_peak_bytes.size()), wafers);
        for (const size_t peak : result.sram_peak_bytes) {
          EXPECT_EQ(peak, result.sram_planned_bytes);
        }
      }
    }
  }
}

TEST(SramTest, MoreRecomputationNeedsLess) {
  const auto planned = [](Recompute recompute) {
    JobSpec job = SmallJob(8);
    job.mutable_training()->set_recompute(recompute);
    return Compile(job, {1, 1, 1})->sram.bytes;
  };
  EXPECT_LT(planned(RECOMPUTE_SELECTIVE), planned(RECOMPUTE_NONE));
  EXPECT_LT(planned(RECOMPUTE_FULL), planned(RECOMPUTE_SELECTIVE));
}

TEST(SramTest, TheLeastThatIsAcceptedRunsAndOneByteLessIsRefusedWithTheArithmetic) {
  const ClusterShape shape = {2, 1, 1};
  JobSpec job = WithLeastSram(SmallJob(7), shape);
  const size_t least = job.cluster().wafer().sram_bytes();
  const InprocResult result = RunSmallJob(job, {.shape = shape, .seed = 3});
  EXPECT_EQ(result.sram_planned_bytes, least);
  EXPECT_EQ(result.sram_peak_bytes, (std::vector<size_t>{least, least}));

  job.mutable_cluster()->mutable_wafer()->set_sram_bytes(least - 1);
  const absl::Status refusal = RunInproc(job, {.shape = shape}).status();
  EXPECT_EQ(refusal.code(), absl::StatusCode::kResourceExhausted);
  const std::string message(refusal.message());
  EXPECT_NE(message.find("cluster.wafer.sram"), std::string::npos) << message;
  EXPECT_NE(message.find("at least " + std::to_string(least)), std::string::npos) << message;
}

}  // namespace
}  // namespace waferstream
