#include "wafer_node/kernels/isa.h"

#include <gtest/gtest.h>

#include "wafer_node/kernels/gemm_amx.h"

namespace waferstream {
namespace {

// DNNL_MAX_CPU_ISA=AVX2 comes from the build file.
TEST(KernelIsaTest, FollowsTheEnvironment) {
  const std::string isa = KernelIsa();
  EXPECT_TRUE(isa.starts_with("avx2/") || isa.starts_with("avx/") || isa.starts_with("sse41/"))
      << isa;
  EXPECT_GT(isa.size(), isa.find('/') + 1) << isa;
  EXPECT_FALSE(HasAmx());
}

}  // namespace
}  // namespace waferstream
