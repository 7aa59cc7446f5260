#include "plan/sram.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "plan/plan.h"
#include "plan/test_job.h"

namespace waferstream {
namespace {

Plan MustCompile(const JobSpec& job) {
  auto plan = Compile(job, {});
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *std::move(plan);
}

TEST(Sram, RegionsFollowOneAnotherAndEveryPartIsAligned) {
  for (Precision precision : {F32, BF16}) {
    for (Recompute recompute : {RECOMPUTE_NONE, RECOMPUTE_SELECTIVE, RECOMPUTE_FULL}) {
      JobSpec job = TestJob();
      job.mutable_model()->set_hidden(36);  // nothing is a multiple of 64 bytes by itself
      job.mutable_training()->set_precision(precision);
      job.mutable_training()->set_recompute(recompute);
      job.mutable_cluster()->set_planes(2);
      const SramLayout layout = MustCompile(job).sram;
      size_t end = 0;
      for (const SramRegion& region : layout.regions) {
        EXPECT_EQ(region.offset, end) << region.name;
        ASSERT_GT(region.count, 0u) << region.name;
        EXPECT_EQ(region.bytes % region.count, 0u) << region.name;
        EXPECT_EQ(region.bytes / region.count % 64, 0u) << region.name;
        end = region.offset + region.bytes;
      }
      EXPECT_EQ(layout.bytes, end);
    }
  }
}

size_t BytesOfRegion(const Plan& plan, SramBuffer buffer) {
  const SramRegion* region = plan.sram.Find(buffer);
  return region == nullptr ? 0 : region->bytes;
}

TEST(Sram, EveryMicroBatchHasAPartOfTheActivations) {
  JobSpec job = TestJob();
  job.mutable_training()->set_micro_batch(2);
  const Plan plan = MustCompile(job);
  ASSERT_EQ(plan.resident_max, 4);
  EXPECT_EQ(plan.sram.Find(SramBuffer::kActivations)->count, 4u);
  EXPECT_EQ(BytesOfRegion(plan, SramBuffer::kActivations), 4 * plan.places.bytes);
}

TEST(Sram, AGenerationHasNothingForBackward) {
  JobSpec job = TestJob();
  job.mutable_generate()->add_prompt(1);
  job.mutable_generate()->set_tokens(2);
  const Plan plan = MustCompile(job);
  EXPECT_EQ(plan.sram.Find(SramBuffer::kStagingLarge), nullptr);
  // Two residuals, and at the most, beside them, what is widest: MLP and its activation.
  EXPECT_LE(plan.places.bytes, size_t{16} * (2 * 32 + 2 * 128) * sizeof(float));
}

TEST(Sram, AnEvaluationHasNothingForBackward) {
  for (const Precision precision : {F32, BF16}) {
    JobSpec job = TestJob();
    job.mutable_training()->set_steps(0);
    job.mutable_data()->set_validation("v.bin");
    job.mutable_training()->set_precision(precision);
    const Plan plan = MustCompile(job);
    EXPECT_EQ(plan.sram.Find(SramBuffer::kStagingLarge), nullptr);
    EXPECT_EQ(plan.sram.Find(SramBuffer::kLogits), nullptr);
    EXPECT_EQ(plan.sram.Find(SramBuffer::kProbabilities), nullptr);
    // As above, and the log-sum-exp of every token and head.
    EXPECT_LE(plan.places.bytes, size_t{16} * (2 * 32 + 2 * 128 + 4) * sizeof(float));
  }
}

// Attention goes through blocks of queries: nothing has a row and a column for every token.
TEST(Sram, GrowsWithTheContextAndNoFaster) {
  for (const Precision precision : {F32, BF16}) {
    JobSpec job = TestJob();
    job.mutable_model()->set_family("llama");
    job.mutable_model()->set_heads(2);
    job.mutable_model()->set_head_dim(256);
    job.mutable_training()->set_global_batch(1);
    job.mutable_training()->set_precision(precision);
    job.mutable_cluster()->mutable_wafer()->set_sram_bytes(uint64_t{64} << 30);
    size_t half = 0;
    for (const uint32_t context : {32768, 65536, 131072}) {
      job.mutable_model()->set_context(context);
      const size_t bytes = MustCompile(job).sram.bytes;
      if (half > 0) {
        EXPECT_LE(bytes, 2 * half) << context;
        EXPECT_GE(bytes, half) << context;
      }
      half = bytes;
    }
  }
}

TEST(Sram, ReceiveSlotsAreTheWindowsOfTheChannels) {
  JobSpec job = TestJob();
  job.mutable_cluster()->set_planes(3);
  job.mutable_training()->set_recompute(RECOMPUTE_FULL);
  const Plan plan = MustCompile(job);
  int planes = 0;
  for (const Channel& channel : plan.channels) {
    if (channel.down.role != WAFER) continue;
    ++planes;
    const Credit& window = channel.tile_window;
    EXPECT_EQ(plan.sram.Find(SramBuffer::kReceiveSmall, channel.plane)->count,
              static_cast<size_t>(window.slots[kSmall]));
    EXPECT_EQ(plan.sram.Find(SramBuffer::kReceiveLarge, channel.plane)->count,
              static_cast<size_t>(window.slots[kLarge]));
  }
  EXPECT_EQ(planes, 3);
}

}  // namespace
}  // namespace waferstream
