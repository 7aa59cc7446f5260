#include "tests/clusters.h"

#include <gtest/gtest.h>

#include <tuple>

#include "tests/small_job.h"

namespace waferstream {
namespace {

std::string Describe(const Cluster& c) {
  return testing::PrintToString(std::tuple(c.wafers, c.fanout, c.memoryx, c.planes, c.threads,
                                           Recompute_Name(c.recompute))) +
         " (wafers, fanout, memoryx, planes, threads, recompute)";
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Numbers& n) {
  out << "weights " << n.weights << " optimizer " << n.optimizer << " losses";
  for (const double loss : n.losses) out << " " << loss;
  return out;
}

Numbers NumbersOf(const InprocResult& result) {
  return {result.weights_hash, result.optimizer_hash, result.losses, result.validation_losses,
          result.norms};
}

Numbers Plainest(const JobSpec& job) { return NumbersOf(RunSmallJob(job, {.shape = {1, 1, 1}})); }

JobSpec On(const Cluster& c, JobSpec job) {
  job.mutable_training()->set_recompute(c.recompute);
  job.mutable_cluster()->set_fanout(c.fanout);
  job.mutable_cluster()->set_planes(c.planes);
  job.mutable_cluster()->mutable_wafer()->set_kernel_threads(c.threads);
  return job;
}

void ExpectSame(const Numbers& expected, const JobSpec& job, const Cluster& c, uint64_t seed) {
  SCOPED_TRACE(Describe(c) + ", seed " + std::to_string(seed));
  const int swarmx = 1 + static_cast<int>(seed % 3);
  const InprocResult result =
      RunSmallJob(job, {.shape = {c.wafers, c.memoryx, swarmx}, .seed = seed});
  EXPECT_EQ(NumbersOf(result), expected);
  for (const size_t peak : result.sram_peak_bytes) {
    EXPECT_EQ(peak, result.sram_planned_bytes);
  }
}

}  // namespace waferstream
