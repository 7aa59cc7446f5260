#include "wafer_node/file_tokens.h"

#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "checkpoint/posix_disk.h"
#include "plan/test_job.h"

namespace waferstream {
namespace {

// Tokens 0, 1, 2, ... modulo 64 in a file of the test's own.
std::string WriteTokens(const std::string& name, int tokens, int odd_one_at = -1) {
  const std::string path = testing::TempDir() + "/" + name;
  std::ofstream file(path, std::ios::binary);
  for (int i = 0; i < tokens; ++i) {
    const uint16_t token = static_cast<uint16_t>(i == odd_one_at ? 64 : i % 64);
    file.put(static_cast<char>(token & 0xff)).put(static_cast<char>(token >> 8));
  }
  return path;
}

class FileTokensTest : public testing::Test {
 protected:
  JobSpec Job(int train_samples, int validation_samples) {
    JobSpec job = TestJob();
    job.mutable_data()->add_train(WriteTokens("train.bin", 16 * train_samples + 1));
    job.mutable_data()->set_validation(WriteTokens("validation.bin", 16 * validation_samples + 1));
    job.mutable_training()->set_validate_every(1);
    return job;
  }
  std::unique_ptr<FileTokens> Open(JobSpec job) {
    EXPECT_TRUE(RecordContent(PosixDisk(), job).ok());
    plan_ = Compile(job, {});
    EXPECT_TRUE(plan_.ok()) << plan_.status();
    auto tokens = FileTokens::Open(*plan_, files_);
    EXPECT_TRUE(tokens.ok()) << tokens.status();
    return *std::move(tokens);
  }
  // Which sequence of the validation file the n-th of the validation is.
  int ValidationSample(FileTokens& tokens, uint64_t n) {
    EXPECT_TRUE(tokens.CopyValidation(n, 16, ids_, targets_).ok());
    return ids_[0] / 16;
  }

  OpenTokenFiles files_{PosixDisk()};
  absl::StatusOr<Plan> plan_;
  int32_t ids_[16], targets_[16];
};

TEST_F(FileTokensTest, TargetsAreTheNextTokens) {
  const auto tokens = Open(Job(3, 2));
  ASSERT_TRUE(tokens->CopyTraining(5, 16, ids_, targets_).ok());  // sample 5 mod 3
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(ids_[i], 32 + i);
    EXPECT_EQ(targets_[i], (33 + i) % 64);
  }
}

TEST_F(FileTokensTest, AllOfAValidationAreTakenInOrderAndAFewFromAllOverTheFile) {
  JobSpec job = Job(3, 4);  // so many have a first token of their own
  auto tokens = Open(job);
  ASSERT_EQ(plan_->validation_sequences, 4);
  for (int n = 0; n < 4; ++n) EXPECT_EQ(ValidationSample(*tokens, n), n);
  std::set<std::set<int>> choices;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    job.mutable_data()->set_validation_sequences(3);
    job.mutable_training()->set_seed(seed);
    tokens = Open(job);
    ASSERT_EQ(plan_->validation_sequences, 3);
    std::set<int> chosen;
    for (int n = 0; n < 3; ++n) chosen.insert(ValidationSample(*tokens, n));
    EXPECT_EQ(chosen.size(), 3u) << "one was taken twice";
    choices.insert(chosen);
    job.mutable_training()->set_global_batch(16);  // is no part of the choice
    const auto again = Open(job);
    for (int n = 0; n < 3; ++n) EXPECT_EQ(chosen.count(ValidationSample(*again, n)), 1u);
  }
  EXPECT_EQ(choices.size(), 4u) << "every sequence has its turn to be left out";
}

TEST_F(FileTokensTest, AFileThatChangesIsAnErrorThatNamesItsField) {
  const auto tokens = Open(Job(3, 2));
  WriteTokens("train.bin", 10);
  const absl::Status read = tokens->CopyTraining(0, 16, ids_, targets_);
  EXPECT_EQ(read.code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(absl::StrContains(read.message(), "data.train: ")) << read;
  EXPECT_TRUE(absl::StrContains(read.message(), "train.bin: is shorter than the 98 bytes")) << read;
  // And the next epoch does not begin.
  const auto refused = FileTokens::Open(*plan_, files_);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument) << refused.status();
}

}  // namespace
}  // namespace waferstream
