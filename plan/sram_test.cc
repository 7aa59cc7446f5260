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

// The formulas at the top of sram.h, for sizes at which nothing is rounded.
TEST(Sram, ActivationsAreWhatTheFormulasSay) {
  for (Precision precision : {F32, BF16}) {
    JobSpec job = TestJob();
    job.mutable_training()->set_precision(precision);
    job.mutable_training()->set_micro_batch(2);
    const size_t N = size_t{2} * 16, D = 32, F = 128, H = 4, L = 2, R = 4,
                 c = precision == F32 ? 4 : 2;
    const auto per_batch = [&](Recompute recompute) {
      job.mutable_training()->set_recompute(recompute);
      const Plan plan = MustCompile(job);
      EXPECT_EQ(plan.resident_max, static_cast<int>(R));
      size_t bytes = 0;
      for (SramBuffer buffer :
           {SramBuffer::kResidual, SramBuffer::kNorm1, SramBuffer::kQkv, SramBuffer::kAttentionLse,
            SramBuffer::kAttentionOut, SramBuffer::kMiddle, SramBuffer::kNorm2, SramBuffer::kUp,
            SramBuffer::kGelu, SramBuffer::kFinalNorm, SramBuffer::kDelta, SramBuffer::kOutputDelta,
            SramBuffer::kInputDelta, SramBuffer::kQkvDelta}) {
        bytes += BytesOfRegion(plan, buffer);
      }
      return bytes / R;
    };
    const size_t once = (L + 1) * N * D * 4 + N * D * c + N * D * 4 + N * std::max(D, F) * 4 +
                        3 * N * D * c + (c == 2 ? 2 * N * D : 0);
    const size_t layer = N * (6 * D * c + 2 * F * c + 4 * D + 4 * H);
    const size_t selective = N * (4 * D * c + F * c + 4 * D + 4 * H);
    EXPECT_EQ(per_batch(RECOMPUTE_NONE), once + L * layer);
    EXPECT_EQ(per_batch(RECOMPUTE_SELECTIVE), once + L * selective + N * (2 * D * c + F * c));
    EXPECT_EQ(per_batch(RECOMPUTE_FULL), once + layer);
  }
}

TEST(Sram, AGenerationKeepsTwoResidualsAndNothingForBackward) {
  JobSpec job = TestJob();
  job.mutable_model()->set_layers(5);
  job.mutable_generate()->add_prompt(1);
  job.mutable_generate()->set_tokens(2);
  const Plan plan = MustCompile(job);
  EXPECT_EQ(BytesOfRegion(plan, SramBuffer::kResidual), size_t{2} * 16 * 32 * sizeof(float));
  EXPECT_EQ(BytesOfRegion(plan, SramBuffer::kUp), size_t{16} * 128 * sizeof(float));
  for (SramBuffer buffer : {SramBuffer::kDelta, SramBuffer::kInputDelta, SramBuffer::kQkvDelta,
                            SramBuffer::kStagingLarge}) {
    EXPECT_EQ(plan.sram.Find(buffer), nullptr);
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
