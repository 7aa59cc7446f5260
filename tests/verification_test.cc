// Verification costs time and SRAM, and nothing else: whatever share of the micro-batches is
// computed twice, on whatever cluster, a job ends with the same weights; and sound machines always
// agree.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "tests/small_job.h"

namespace waferstream {
namespace {

class VerificationTest : public testing::TestWithParam<std::tuple<Precision, int>> {
 protected:
  // `leaves` micro-batches on `wafers` wafers, in one wave or in as many as there can be.
  JobSpec Job(double verify, const ClusterShape& shape, bool many_waves) const {
    const auto [precision, leaves] = GetParam();
    JobSpec job = SmallJob(leaves);
    job.mutable_training()->set_precision(precision);
    job.mutable_training()->set_verify(verify);
    job.mutable_training()->set_recompute(RECOMPUTE_NONE);
    job.mutable_cluster()->set_fanout(2);
    job.mutable_cluster()->mutable_wafer()->set_kernel_threads(2);
    return many_waves ? WithLeastSram(job, shape) : job;
  }
};

TEST_P(VerificationTest, ChangesNoBit) {
  const ClusterShape alone = {1, 1, 1};
  const InprocResult plain = RunSmallJob(Job(0, alone, false), {.shape = alone});
  ASSERT_EQ(plain.losses.size(), 3u);
  EXPECT_TRUE(plain.hashes.empty());
  uint64_t seed = 0;
  for (const int wafers : {2, 3, 4, 8}) {
    for (const double verify : {0.0, 0.05, 1.0}) {
      for (const bool many_waves : {false, true}) {
        SCOPED_TRACE(testing::Message() << wafers << " wafers, verify " << verify
                                        << (many_waves ? ", many waves" : ", one wave"));
        const ClusterShape shape = {wafers, 2, 2};
        const JobSpec job = Job(verify, shape, many_waves);
        const InprocResult result = RunSmallJob(job, {.shape = shape, .seed = ++seed});
        EXPECT_EQ(result.weights_hash, plain.weights_hash);
        EXPECT_EQ(result.optimizer_hash, plain.optimizer_hash);
        EXPECT_EQ(result.losses, plain.losses);
        EXPECT_EQ(result.norms, plain.norms);
        EXPECT_EQ(result.validation_losses, plain.validation_losses);
        for (const size_t peak : result.sram_peak_bytes) {
          EXPECT_EQ(peak, result.sram_planned_bytes);
        }
        for (const auto& [micro_batch, hashes] : result.hashes) {
          ASSERT_EQ(hashes.size(), 2u);
          EXPECT_EQ(hashes[0], hashes[1]);
        }
        EXPECT_EQ(result.hashes.empty(), verify == 0.0) << "seed 5 samples some at 0.05";
        if (HasFailure()) return;  // one counterexample is enough
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, VerificationTest,
                         testing::Combine(testing::Values(F32, BF16), testing::Values(5, 7, 8)),
                         [](const auto& info) {
                           return Precision_Name(std::get<0>(info.param)) + "_" +
                                  std::to_string(std::get<1>(info.param)) + "_leaves";
                         });

}  // namespace
}  // namespace waferstream
