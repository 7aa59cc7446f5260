// What travels is what the plan says: every byte of it.
#include <gtest/gtest.h>

#include <vector>

#include "plan/links.h"
#include "tests/small_job.h"

namespace waferstream {
namespace {

constexpr int kSteps = 3;

// Without validation, so that a step is forward and backward only.
JobSpec Job(int leaves) {
  JobSpec job = SmallJob(leaves);
  job.mutable_data()->clear_validation();
  return job;
}

uint64_t StreamBytes(const Plan& plan, const std::vector<int>& stream) {
  uint64_t bytes = 0;
  for (const int tile : stream) bytes += plan.TileBytes(tile);
  return bytes;
}

uint64_t GradientBytesOfAWave(const Plan& plan) {
  uint64_t bytes = 0;
  for (const GradientItem& item : plan.program.gradient_stream) {
    bytes += plan.GradientBytes(item.tile);
  }
  return bytes;
}

TrafficCounters Sum(const std::vector<TrafficCounters>& parts) {
  TrafficCounters sum;
  for (const TrafficCounters& part : parts) {
    sum.set_weight_bytes_in(sum.weight_bytes_in() + part.weight_bytes_in());
    sum.set_weight_bytes_out(sum.weight_bytes_out() + part.weight_bytes_out());
    sum.set_gradient_bytes_in(sum.gradient_bytes_in() + part.gradient_bytes_in());
    sum.set_gradient_bytes_out(sum.gradient_bytes_out() + part.gradient_bytes_out());
    sum.set_gradient_blocks_in(sum.gradient_blocks_in() + part.gradient_blocks_in());
    sum.set_gradient_blocks_out(sum.gradient_blocks_out() + part.gradient_blocks_out());
    sum.set_gradient_adds(sum.gradient_adds() + part.gradient_adds());
  }
  return sum;
}

TEST(TrafficTest, EveryWaferGetsEveryTileOncePerPass) {
  for (const Precision precision : {F32, BF16}) {
    for (const bool little_sram : {false, true}) {
      JobSpec job = Job(7);
      job.mutable_training()->set_precision(precision);
      const ClusterShape shape = {3, 2, 1};
      if (little_sram) job = WithLeastSram(job, shape);
      const Plan plan = *Compile(job, shape);
      const uint64_t step_bytes = plan.waves * (StreamBytes(plan, plan.program.forward_stream) +
                                                StreamBytes(plan, plan.program.backward_stream));
      const InprocResult result = RunSmallJob(job, {.shape = shape, .seed = 1});
      for (const TrafficCounters& wafer : result.wafers) {
        EXPECT_EQ(wafer.weight_bytes_in(), kSteps * step_bytes);
      }
    }
  }
}

// Process by process, whatever the trees, the planes, the owners and the waves.
TEST(TrafficTest, EveryProcessMovesWhatThePlanPredicts) {
  for (const bool little_sram : {false, true}) {
    for (const int planes : {1, 2, 3}) {
      JobSpec job = Job(7);
      job.mutable_cluster()->set_fanout(2);
      job.mutable_cluster()->set_planes(planes);
      job.mutable_cluster()->set_memoryx(2);
      job.mutable_cluster()->set_replicas(2);
      const ClusterShape shape = {.wafers = 4, .memoryx = 2, .swarmx = 2};
      if (little_sram) job = WithLeastSram(job, shape);
      const InprocResult result = RunSmallJob(job, {.shape = shape, .seed = 1});
      std::vector<TrafficCounters> counted = result.memoryx;
      counted.insert(counted.end(), result.swarmx.begin(), result.swarmx.end());
      counted.insert(counted.end(), result.wafers.begin(), result.wafers.end());
      const std::vector<LinkTraffic> links = LinksOf(*Compile(job, shape));
      ASSERT_EQ(links.size(), counted.size());
      for (size_t i = 0; i < links.size(); ++i) {
        EXPECT_EQ(counted[i].weight_bytes_out() + counted[i].gradient_bytes_out(),
                  kSteps * (links[i].sent() + links[i].inside()));
        EXPECT_EQ(counted[i].weight_bytes_in() + counted[i].gradient_bytes_in(),
                  kSteps * (links[i].received() + links[i].inside()));
      }
    }
  }
}

// Broadcast: MemoryX sends each tile once, however many wafers there are.
TEST(TrafficTest, MemoryXSendsTheSameToAnyNumberOfWafers) {
  for (const int wafers : {1, 2, 4}) {
    const ClusterShape shape = {wafers, 2, 1};
    const Plan plan = *Compile(Job(8), shape);
    ASSERT_EQ(plan.waves, 1);
    const InprocResult result = RunSmallJob(Job(8), {.shape = shape, .seed = 1});
    const TrafficCounters swarmx = Sum(result.swarmx);
    const uint64_t job_bytes = kSteps * (StreamBytes(plan, plan.program.forward_stream) +
                                         StreamBytes(plan, plan.program.backward_stream));
    EXPECT_EQ(swarmx.weight_bytes_in(), job_bytes);
    EXPECT_EQ(swarmx.weight_bytes_out(), job_bytes * wafers);
    EXPECT_EQ(Sum(result.wafers).weight_bytes_in(), job_bytes * wafers);
  }
}

// Reduction: with power-of-two shares one block a gradient reaches MemoryX, however many wafers
// there are, and SwarmX does one addition less than there are wafers.
TEST(TrafficTest, MemoryXReceivesTheSameFromAnyNumberOfWafers) {
  for (const int fanout : {2, 4}) {
    for (const int wafers : {1, 2, 4}) {
      JobSpec job = Job(8);
      job.mutable_cluster()->set_fanout(fanout);
      const ClusterShape shape = {wafers, 2, 2};
      const Plan plan = *Compile(job, shape);
      ASSERT_EQ(plan.waves, 1);
      const InprocResult result = RunSmallJob(job, {.shape = shape, .seed = 1});
      const uint64_t items = kSteps * plan.program.gradient_stream.size();
      const TrafficCounters memoryx = Sum(result.memoryx);
      EXPECT_EQ(memoryx.gradient_bytes_in(), kSteps * GradientBytesOfAWave(plan));
      EXPECT_EQ(memoryx.gradient_blocks_in(), items);
      const TrafficCounters swarmx = Sum(result.swarmx);
      EXPECT_EQ(swarmx.gradient_adds(), items * (wafers - 1));
      EXPECT_EQ(swarmx.gradient_blocks_in() - swarmx.gradient_blocks_out(), swarmx.gradient_adds());
    }
  }
}

// Whoever adds: of the leaves of a gradient only one block is left, so all additions together are
// one less than the leaves.
TEST(TrafficTest, AllAdditionsTogetherAreOneLessThanTheLeaves) {
  for (const int leaves : {1, 5, 7, 8}) {
    for (const int wafers : {1, 2, 3, 4}) {
      JobSpec job = Job(leaves);
      job.mutable_cluster()->set_fanout(2);
      const ClusterShape shape = {wafers, 1, 1};
      const Plan plan = *Compile(job, shape);
      const InprocResult result = RunSmallJob(job, {.shape = shape, .seed = 1});
      const uint64_t items = kSteps * plan.program.gradient_stream.size();
      const TrafficCounters all =
          Sum({Sum(result.wafers), Sum(result.swarmx), Sum(result.memoryx)});
      EXPECT_EQ(all.gradient_adds(), items * (leaves - 1)) << leaves << " " << wafers;
    }
  }
}

}  // namespace
}  // namespace waferstream
