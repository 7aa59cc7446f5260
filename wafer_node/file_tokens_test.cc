#include "wafer_node/file_tokens.h"

#include <gtest/gtest.h>

#include <fstream>
#include <numeric>
#include <string>

#include "absl/strings/match.h"
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

TEST(FileTokens, TargetsAreTheNextTokens) {
  JobSpec job = TestJob();
  job.mutable_data()->set_train(WriteTokens("train.bin", 16 * 3 + 1));
  job.mutable_data()->set_validation(WriteTokens("validation.bin", 16 * 2 + 1));
  auto tokens = FileTokens::Open(job);
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  int32_t ids[16], targets[16];
  (*tokens)->CopyTraining(5, 16, ids, targets);  // sample 5 mod 3
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(ids[i], 32 + i);
    EXPECT_EQ(targets[i], (33 + i) % 64);
  }
  (*tokens)->CopyValidation(3, 16, ids, targets);  // sample 3 mod 2
  EXPECT_EQ(ids[0], 16);
}

TEST(FileTokens, RefusesATokenOutsideTheVocabularyByPosition) {
  JobSpec job = TestJob();
  job.mutable_data()->set_train(WriteTokens("train.bin", 100));
  job.mutable_data()->set_validation(WriteTokens("odd.bin", 100, 77));
  const auto refused = FileTokens::Open(job);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  const std::string message(refused.status().message());
  EXPECT_TRUE(absl::StrContains(message, "odd.bin")) << message;
  EXPECT_TRUE(absl::StrContains(message, "77")) << message;
  EXPECT_TRUE(absl::StrContains(message, "64")) << message;
}

TEST(FileTokens, RefusesTooFewTokens) {
  JobSpec job = TestJob();
  job.mutable_data()->set_train(WriteTokens("short.bin", 16));
  const auto refused = FileTokens::Open(job);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(refused.status().message(), "short.bin")) << refused.status();
}

}  // namespace
}  // namespace waferstream
