// Models from elsewhere, in a whole cluster: what they say, and that they are trained on.
#include "checkpoint/import.h"

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/parallel.h"
#include "checkpoint/export.h"
#include "checkpoint/initial_checkpoint.h"
#include "checkpoint/posix_disk.h"
#include "data/job_data.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "plan/job_yaml.h"
#include "tests/small_job.h"

namespace waferstream {
namespace {

const std::string kFormats = "tests/golden/formats/";

JobSpec OddHeads() {
  auto job = ReadJobFile("tests/golden/odd_heads/job.yaml", {});
  EXPECT_TRUE(job.ok()) << job.status();
  EXPECT_TRUE(RecordContent(PosixDisk(), *job).ok());
  return *job;
}

// transformers', and by nanoGPT's GELU where that is what it has: the two differ by 1e-4 here.
TEST(ImportTest, LogitsAreTheOtherPrograms) {
  std::ifstream file(kFormats + "golden.json");
  const auto golden = nlohmann::json::parse(file);
  const std::string root = EmptyFolder("imports");
  ASSERT_EQ(golden.at("logits").size(), 9u);
  for (const auto& [name, want] : golden.at("logits").items()) {
    const std::string own = absl::StrCat(root, "/", name);
    const auto manifest = ImportCheckpoint(PosixDisk(), kFormats + name, own);
    ASSERT_TRUE(manifest.ok()) << manifest.status();
    JobSpec job = OddHeads();
    *job.mutable_model() = manifest->job.model();
    for (const uint32_t token : golden.at("prompt")) job.mutable_generate()->add_prompt(token);
    job.mutable_generate()->set_tokens(1);
    job.mutable_generate()->set_logits(true);
    job.mutable_checkpoint()->set_from(own);
    const InprocResult run = RunSmallJob(job, {});
    ASSERT_EQ(run.logits.size(), want.size());
    for (size_t i = 0; i < want.size(); ++i) {
      EXPECT_NEAR(run.logits[i], want[i].get<float>(), 2e-5) << name << " " << i;
    }
  }
}

// Out in shards and in again, a job has the very bits that it has without.
TEST(ImportTest, AnImportedModelTrainsOn) {
  JobSpec job = OddHeads();
  job.mutable_training()->set_steps(4);
  const InprocResult fresh = RunSmallJob(job, {});
  const std::string root = EmptyFolder("train_on");
  Serial serial;
  ASSERT_TRUE(WriteInitialCheckpoint(PosixDisk(), job, root + "/init", serial).ok());
  ASSERT_TRUE(
      ExportCheckpoint(PosixDisk(), root + "/init", root + "/hf", {.shard_bytes_max = 100'000})
          .ok());
  const auto manifest = ImportCheckpoint(PosixDisk(), root + "/hf", root + "/own");
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  for (const char* from : {"/own", "/hf"}) {
    job.mutable_checkpoint()->set_from(root + from);
    const InprocResult run = RunSmallJob(job, {.shape = {.wafers = 2, .memoryx = 2}});
    EXPECT_EQ(run.losses, fresh.losses) << from;
    EXPECT_EQ(run.weights_hash, fresh.weights_hash) << from;
  }
}

}  // namespace
}  // namespace waferstream
