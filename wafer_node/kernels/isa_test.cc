// The main of the kernels' tests that are run at one level, and the tests of that level itself.
#include "wafer_node/kernels/isa.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace waferstream {
namespace {

using ::testing::HasSubstr;

// From the build file.
std::string Level() {
  const char* level = std::getenv("FORCE_KERNEL_ISA");
  return level == nullptr ? "" : level;
}

bool IsHere(const std::string& level) {
  const std::vector<std::string> here = AvailableKernelIsas();
  return std::find(here.begin(), here.end(), level) != here.end();
}

TEST(KernelIsaTest, IsTheLevelThatWasForced) {
  if (!IsHere(Level())) GTEST_SKIP() << "this CPU has no " << Level();
  const std::map<std::string, std::string> kWanted = {
      {"sse4", "f32:s"},
      {"avx2", "f32:avx2 bf16:avx2 simd:avx2"},
      {"avx512", "f32:avx512 bf16:avx512 simd:avx512"},
      {"avx512_bf16", "f32:avx512 bf16:avx512_bf16 simd:avx512"},
      {"amx", "f32:avx512 bf16:amx simd:avx512"}};
  EXPECT_THAT(KernelIsa(), HasSubstr(kWanted.at(Level())));
}

TEST(KernelIsaTest, WhatTheCpuLacksIsRefused) {
  EXPECT_THAT(AvailableKernelIsas(), testing::Contains("sse4"));
  for (const std::string& name : KernelIsaNames()) {
    if (IsHere(name)) continue;
    const absl::Status status = ForceKernelIsa(name);
    EXPECT_TRUE(absl::IsInvalidArgument(status));
    EXPECT_THAT(std::string(status.message()), HasSubstr(name + ": this CPU has sse4"));
  }
}

TEST(KernelIsaTest, AnUnknownNameIsRefused) {
  for (const char* name : {"", "AVX2", "avx2 ", "sse", "all"}) {
    const absl::Status status = ForceKernelIsa(name);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << name;
    EXPECT_THAT(std::string(status.message()), HasSubstr("not one of sse4, avx2"));
  }
}

// Kernels are running by now.
TEST(KernelIsaTest, TooLateIsRefused) {
  static_cast<void>(KernelIsa());
  EXPECT_TRUE(absl::IsInvalidArgument(ForceKernelIsa("sse4")));
}

}  // namespace
}  // namespace waferstream

int main(int argc, char** argv) {
  testing::InitGoogleMock(&argc, argv);
  const std::string level = waferstream::Level();
  if (waferstream::IsHere(level)) {
    const absl::Status forced = waferstream::ForceKernelIsa(level);
    if (!forced.ok()) {
      std::fprintf(stderr, "%s\n", std::string(forced.message()).c_str());
      return 1;
    }
  } else {
    // What is left says that it was skipped, and why.
    GTEST_FLAG_SET(filter, "KernelIsaTest.*");
  }
  return RUN_ALL_TESTS();
}
