// What Numerics() (base/version.h) stands for: the bits of a job, and the hash of its plan. The
// golden file names the number that its hashes belong to. A hash that has changed is another
// numerics: raise Numerics() and the file's number, and write the hashes that this test prints.
//   numerics_test LEVEL    a level of kernels, as of --kernel-isa
#include <fstream>
#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/version.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "plan/plan.h"
#include "plan/test_job.h"
#include "tests/small_job.h"
#include "wafer_node/kernels/isa.h"

namespace waferstream {
namespace {

using Json = nlohmann::json;

std::string level;

const Json& Golden() {
  static const Json& golden = *new Json([] {
    std::ifstream file("tests/golden/numerics.json");
    return Json::parse(file);
  }());
  return golden;
}

constexpr const char* kWhatToDo =
    "jobs would get other bits: raise Numerics() in base/version.cc and \"numerics\" in "
    "tests/golden/numerics.json, and write this hash there";

TEST(NumericsTest, TheGoldenFileIsOfThisNumber) {
  EXPECT_EQ(Golden().at("numerics"), Numerics())
      << "the hashes of tests/golden/numerics.json are to be made anew, with its number";
}

TEST(NumericsTest, APlanHasTheHashThatItHad) {
  const auto plan = Compile(TestJob(), {.wafers = 3, .memoryx = 2, .swarmx = 2});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(absl::StrFormat("%016x", plan->Hash()), Golden().at("plan")) << kWhatToDo;
}

class JobBitsTest : public ::testing::TestWithParam<Precision> {};

TEST_P(JobBitsTest, AreWhatTheyWere) {
  const std::string name = absl::StrCat(level, " ", Precision_Name(GetParam()));
  JobSpec job = SmallJob(5);
  job.mutable_training()->set_precision(GetParam());
  const InprocResult run = RunSmallJob(job, {.shape = {2, 2, 1}});
  const Json now = {run.weights_hash, run.optimizer_hash};
  std::cout << Json(name) << ": " << now << "\n";
  EXPECT_EQ(Golden().at("jobs").value(name, Json()), now) << kWhatToDo;
}

INSTANTIATE_TEST_SUITE_P(, JobBitsTest, ::testing::Values(F32, BF16),
                         [](const auto& info) { return Precision_Name(info.param); });

}  // namespace
}  // namespace waferstream

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  waferstream::level = argc > 1 ? argv[1] : "portable";
  const absl::Status forced = waferstream::ForceKernelIsa(waferstream::level);
  if (!forced.ok()) {
    std::cout << "skipped: " << forced.message() << "\n";
    return 0;
  }
  return RUN_ALL_TESTS();
}
