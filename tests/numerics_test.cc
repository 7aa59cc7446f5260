// What Numerics() (base/version.h) stands for: the bits of a job, by level of kernels. The golden
// file names the number that its hashes, of weights and of optimizer, belong to; that of a plan is
// in plan/plan_hash_test. A hash that has changed is another numerics: raise Numerics() and the
// file's number, and write there what this test prints.
//   numerics_test LEVEL    as of --kernel-isa
#include <fstream>
#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/version.h"
#include "checkpoint/posix_disk.h"
#include "data/job_data.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "plan/job_yaml.h"
#include "tests/small_job.h"
#include "wafer_node/kernels/gemm.h"
#include "wafer_node/kernels/isa.h"

namespace waferstream {
namespace {

using Json = nlohmann::json;

std::string level;

Json Golden() {
  std::ifstream file("tests/golden/numerics.json");
  return Json::parse(file);
}

TEST(NumericsTest, TheGoldenFileIsOfThisNumber) {
  EXPECT_EQ(Golden().at("numerics"), Numerics()) << "its hashes are to be made anew";
}

class JobBitsTest : public ::testing::TestWithParam<Precision> {
 protected:
  // Runs the job and compares its hashes with those of the golden file under "`of` F32" or so.
  void ExpectWhatTheyWere(Kernels kernels, const std::string& of) {
    auto job = ReadJobFile("tests/golden/odd_heads/job.yaml", {});
    ASSERT_TRUE(job.ok()) << job.status();
    job->mutable_training()->set_precision(GetParam());
    job->mutable_training()->set_kernels(kernels);
    ASSERT_TRUE(RecordContent(PosixDisk(), *job).ok());
    const InprocResult run = RunSmallJob(*job, {.shape = {2, 1, 1}});
    const std::string name = absl::StrCat(of, " ", Precision_Name(GetParam()));
    const Json now = {run.weights_hash, run.optimizer_hash};
    std::cout << Json(name) << ": " << now << "\n";
    EXPECT_EQ(Golden().at("odd_heads").value(name, Json()), now)
        << "jobs would get other bits: raise Numerics()";
  }
};

TEST_P(JobBitsTest, AreWhatTheyWere) {
  if (level != "sse4" && level != "avx2") GTEST_SKIP() << "nobody has written them down";
  ExpectWhatTheyWere(KERNELS_NATIVE, level);
}

// The same at every level that can.
TEST_P(JobBitsTest, OfAPortableJobAreWhatTheyWere) {
  if (!CanBePortable()) GTEST_SKIP() << "the multiply-adds of this level are not fused";
  ExpectWhatTheyWere(KERNELS_PORTABLE, "training.kernels portable");
}

INSTANTIATE_TEST_SUITE_P(, JobBitsTest, ::testing::Values(F32, BF16),
                         [](const auto& info) { return Precision_Name(info.param); });

}  // namespace
}  // namespace waferstream

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  waferstream::level = argc > 1 ? argv[1] : "sse4";
  const absl::Status forced = waferstream::ForceKernelIsa(waferstream::level);
  if (!forced.ok()) {
    std::cout << "skipped: " << forced.message() << "\n";
    return 0;
  }
  return RUN_ALL_TESTS();
}
