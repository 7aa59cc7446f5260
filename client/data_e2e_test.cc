// `waferctl data prepare`, from text to a trained model's text, through real processes.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/ctl_harness.h"
#include "client/test_wait.h"
#include "gtest/gtest.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::json;

void PutText(const fs::path& path, size_t bytes) {
  std::ofstream out(path);
  for (size_t i = 0; static_cast<size_t>(out.tellp()) < bytes; ++i) {
    out << "the weather of " << i % 97 << " was better than yesterday's\n";
  }
}

// Learn, train, let it write: no flag but the folder's.
TEST(DataE2eTest, FromTextToText) {
  CtlHarness harness("data_text");
  harness.WriteJob(2);
  PutText(harness.dir() / "t.txt", 40000);
  const json prepared =
      harness
          .Run({"data", "prepare", "t.txt", "-o", "train.bin", "--overwrite", "--learn", "300",
                "--save-tokenizer", "tokenizer", "--output", "json"})
          ->json();
  EXPECT_EQ(prepared["vocab"], 300);
  EXPECT_EQ(prepared["documents"], 1);
  EXPECT_EQ(prepared["end_of_text"], 0);
  EXPECT_EQ(prepared["token_bytes"], 2);
  harness.Run({"run", "-f", "job.yaml", "-q", "--run-dir", "run", "--set", "model.vocab=300",
               "--set", "data.train=train.bin", "--set", "data.validation=train.bin"});
  const std::vector<std::string> args = {"generate",  "--checkpoint", "run",   "--tokenizer",
                                         "tokenizer", "--prompt",     "the w", "--tokens",
                                         "7",         "--top-p",      "0.9"};
  std::vector<std::string> to_json = args;
  to_json.insert(to_json.end(), {"-o", "json"});
  const json generated = harness.Run(to_json)->json();
  ASSERT_LE(generated["tokens"].size(), 7u);
  EXPECT_EQ(harness.Run(args)->out(), absl::StrCat(generated["text"].get<std::string>(), "\n"));
  // Data of a larger vocabulary than the model's is refused before anything starts.
  EXPECT_TRUE(absl::StrContains(
      harness.Run({"run", "-f", "job.yaml", "--set", "data.train=train.bin"}, 2)->err(),
      "train.bin: token "));
}

TEST(DataE2eTest, AnInterruptLeavesNothing) {
  CtlHarness harness("data_interrupt");
  // Work for some seconds.
  PutText(harness.dir() / "t.txt", 64 << 20);
  const std::string tokenizer = fs::absolute("tests/golden/tokens/gpt2");
  const auto names = [&] {
    std::string all;
    for (const auto& entry : fs::directory_iterator(harness.dir())) {
      absl::StrAppend(&all, entry.path().filename().string(), " ");
    }
    return all;
  };
  std::unique_ptr<CtlCall> call = harness.Start(
      {"data", "prepare", "t.txt", "-o", "made.bin", "--tokenizer", tokenizer, "--threads", "1"});
  ASSERT_TRUE(
      WaitFor([&] { return absl::StrContains(names(), "made.bin.partial-"); }, absl::Minutes(2)));
  call->Signal(SIGINT);
  EXPECT_EQ(call->Wait(), 6) << call->err();
  EXPECT_FALSE(absl::StrContains(names(), "made.bin")) << names();
}

}  // namespace
}  // namespace waferstream
