#include "tests/small_job.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/philox.h"
#include "checkpoint/posix_disk.h"
#include "data/job_data.h"
#include "plan/test_job.h"

namespace waferstream {
namespace {

constexpr uint32_t kVocab = 61;
constexpr uint32_t kContext = 12;

// Tokens with something to learn in them: each is its predecessor plus a little noise.
std::string WriteTokens(const std::string& name, int samples) {
  const std::string path = testing::TempDir() + "/" + name;
  if (std::filesystem::exists(path)) return path;
  std::ofstream out(path, std::ios::binary);
  uint32_t token = 0;
  for (uint32_t i = 0; i <= kContext * samples; ++i) {
    token = (token + 1 + Philox(7, Purpose::kSample, 0, i)[0] % 3) % kVocab;
    out.put(static_cast<char>(token)).put('\0');
  }
  return path;
}

}  // namespace

std::string EmptyFolder(const std::string& name) {
  const std::string path = testing::TempDir() + "/" + name;
  std::filesystem::remove_all(path);
  std::filesystem::create_directories(path);
  return path;
}

JobSpec SmallJob(int leaves) {
  JobSpec job = TestJob();
  job.set_name("small");
  ModelSpec* model = job.mutable_model();
  model->set_hidden(24);
  model->set_heads(3);
  model->set_vocab(kVocab);
  model->set_context(kContext);
  model->set_ffn(96);
  job.mutable_data()->add_train(WriteTokens("train.bin", 40));
  // The last micro-batch of a validation has one sequence.
  job.mutable_data()->set_validation(WriteTokens("validation.bin", 7));
  job.mutable_data()->set_shuffle(SHUFFLE_EPOCH);
  TrainingSpec* training = job.mutable_training();
  training->set_steps(3);
  training->set_global_batch(2 * leaves);
  training->set_micro_batch(2);
  training->set_seed(5);
  training->set_validate_every(2);
  training->set_tile_elements(500);
  training->mutable_optimizer()->mutable_adamw()->set_lr(1e-2);
  Cosine* cosine = training->mutable_schedule()->mutable_cosine();
  cosine->set_warmup(1);
  cosine->set_min_lr(1e-3);
  job.mutable_cluster()->mutable_wafer()->set_sram_bytes(8 << 20);
  EXPECT_TRUE(RecordContent(PosixDisk(), job).ok());
  return job;
}

InprocResult RunSmallJob(const JobSpec& job, const InprocOptions& options) {
  JobSpec placed = job;
  placed.mutable_checkpoint()->set_dir(EmptyFolder("checkpoints"));
  const absl::StatusOr<InprocResult> result = RunInproc(placed, options);
  EXPECT_TRUE(result.ok()) << result.status().message();
  return result.ok() ? *result : InprocResult{};
}

JobSpec WithLeastSram(JobSpec job, const ClusterShape& shape) {
  const auto fits = [&](uint64_t bytes) {
    job.mutable_cluster()->mutable_wafer()->set_sram_bytes(bytes);
    return Compile(job, shape).ok();
  };
  uint64_t refused = 0, accepted = job.cluster().wafer().sram_bytes();
  while (accepted - refused > 1) {
    const uint64_t middle = refused + (accepted - refused) / 2;
    (fits(middle) ? accepted : refused) = middle;
  }
  job.mutable_cluster()->mutable_wafer()->set_sram_bytes(accepted);
  return job;
}

}  // namespace waferstream
