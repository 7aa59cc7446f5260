#include "plan/kernel_order.h"

#include <gtest/gtest.h>

namespace waferstream {
namespace {

constexpr char kAvx2[] = "f32:avx2 bf16:avx2 simd:avx2";
constexpr char kAmx[] = "f32:avx512 bf16:amx simd:avx512";
constexpr char kOld[] = "f32:sse4 bf16:sse4 simd:sse4";

JobSpec Job(Kernels kernels) {
  JobSpec job;
  job.mutable_training()->set_kernels(kernels);
  return job;
}

TEST(KernelOrderTest, WafersOfAPortableJobHaveOneName) {
  EXPECT_EQ(KernelsFor(Job(KERNELS_PORTABLE), kAvx2), kPortableKernels);
  EXPECT_EQ(KernelsFor(Job(KERNELS_PORTABLE), kAmx), kPortableKernels);
}

TEST(KernelOrderTest, WithoutFusedSumsAWaferKeepsItsOwn) {
  EXPECT_EQ(KernelsFor(Job(KERNELS_PORTABLE), kOld), kOld);
}

TEST(KernelOrderTest, OfOtherJobsEveryNameCounts) {
  EXPECT_EQ(KernelsFor(Job(KERNELS_NATIVE), kAvx2), kAvx2);
  EXPECT_EQ(KernelsFor(Job(KERNELS_NATIVE), kAmx), kAmx);
}

}  // namespace
}  // namespace waferstream
