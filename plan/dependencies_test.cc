#include "plan/dependencies.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "plan/job_keys.h"
#include "plan/test_job.h"

namespace waferstream {
namespace {

Circumstances Before() {
  Circumstances was{TestJob(), "avx2/AVX2", 1};
  was.job.mutable_data()->add_train("/a/train.bin");
  DataContent* content = was.job.mutable_data()->add_train_content();
  content->set_bytes(100);
  content->set_xxh3_128("0123");
  was.job.mutable_training()->mutable_schedule()->mutable_cosine()->set_warmup(2);
  was.job.mutable_data()->set_shuffle(SHUFFLE_EPOCH);
  return was;
}

// "key: was -> is" for each.
std::vector<std::string> Found(const Circumstances& was, const Circumstances& is) {
  std::vector<std::string> lines;
  for (const Difference& d : DifferencesThatMatter(was, is).found) {
    lines.push_back(absl::StrCat(d.key, ": ", d.was, " -> ", d.is));
  }
  return lines;
}

using Lines = std::vector<std::string>;

TEST(Dependencies, NothingDiffersFromItself) {
  EXPECT_EQ(Found(Before(), Before()), Lines());
  EXPECT_TRUE(DifferencesThatMatter(Before(), Before()).unknown.empty());
}

TEST(Dependencies, WhatMattersIsNamedWithBothValues) {
  struct Case {
    std::function<void(Circumstances&)> change;
    const char* line;
  };
  const auto training = [](Circumstances& c) { return c.job.mutable_training(); };
  const std::vector<Case> cases = {
      {[](auto& c) { c.job.mutable_model()->set_heads(2); }, "model.heads: 4 -> 2"},
      {[](auto& c) { c.job.mutable_model()->set_norm_eps(1e-6); },
       "model.norm_eps: 1e-05 -> 1e-06"},
      {[](auto& c) { c.job.mutable_model()->set_tied(false); }, "model.tied: true -> false"},
      {[&](auto& c) { training(c)->set_precision(BF16); }, "training.precision: f32 -> bf16"},
      {[&](auto& c) { training(c)->set_micro_batch(2); }, "training.micro_batch: 1 -> 2"},
      {[&](auto& c) { training(c)->set_global_batch(16); }, "training.global_batch: 8 -> 16"},
      {[&](auto& c) { training(c)->set_clip(0); }, "training.clip: 1 -> 0"},
      {[&](auto& c) { training(c)->set_seed(7); }, "training.seed: 0 -> 7"},
      {[&](auto& c) { training(c)->set_steps(9); }, "training.steps: 4 -> 9"},
      {[&](auto& c) { training(c)->set_tile_elements(64); }, "training.tile: 1024 -> 64"},
      {[&](auto& c) { training(c)->mutable_optimizer()->mutable_adamw()->set_beta2(0.99); },
       "training.optimizer.adamw.betas: [0.9, 0.95] -> [0.9, 0.99]"},
      {[&](auto& c) { training(c)->mutable_optimizer()->mutable_adamw()->set_lr(0.1); },
       "training.optimizer.adamw.lr: 0.001 -> 0.1"},
      {[&](auto& c) { training(c)->mutable_optimizer()->mutable_sgd()->set_lr(0.1); },
       "training.optimizer: adamw -> sgd"},
      {[&](auto& c) { training(c)->clear_schedule(); }, "training.schedule: cosine -> constant"},
      {[](auto& c) { c.job.mutable_data()->set_shuffle(SHUFFLE_NONE); },
       "data.shuffle: epoch -> none"},
      {[](auto& c) { c.job.mutable_data()->mutable_train_content(0)->set_xxh3_128("4567"); },
       "data.train: /a/train.bin (100 bytes, xxh3_128 0123) -> /a/train.bin (100 bytes, xxh3_128 "
       "4567)"},
      {[](auto& c) { c.kernel_isa = "avx512_core/AVX3"; },
       "kernel_isa: avx2/AVX2 -> avx512_core/AVX3"},
      {[](auto& c) { c.numerics = 2; }, "numerics: 1 -> 2"},
      {[&](auto& c) { training(c)->set_kernels(KERNELS_PORTABLE); },
       "training.kernels: native -> portable"},
  };
  for (const Case& c : cases) {
    Circumstances is = Before();
    c.change(is);
    EXPECT_EQ(Found(Before(), is), Lines{c.line});
    const std::string key(std::string_view(c.line).substr(0, std::string_view(c.line).find(": ")));
    EXPECT_TRUE(CheckAccept("checkpoint.accept", {key}).ok()) << key;
  }
}

TEST(Dependencies, WhatDoesNotMatterIsNot) {
  const std::vector<std::function<void(JobSpec&)>> changes = {
      [](JobSpec& job) { job.set_name("other"); },
      [](JobSpec& job) { job.mutable_data()->set_train(0, "/elsewhere/train.bin"); },
      [](JobSpec& job) { job.mutable_data()->set_validation("v.bin"); },
      [](JobSpec& job) { job.mutable_data()->set_validation_sequences(3); },
      [](JobSpec& job) { job.mutable_training()->set_validate_every(1); },
      [](JobSpec& job) { job.mutable_training()->set_verify(1); },
      [](JobSpec& job) { job.mutable_training()->set_recompute(RECOMPUTE_FULL); },
      [](JobSpec& job) { job.mutable_training()->add_amendments()->set_lr(1); },
      [](JobSpec& job) { job.mutable_cluster()->set_wafers(7); },
      [](JobSpec& job) { job.mutable_cluster()->mutable_wafer()->set_kernel_threads(3); },
      [](JobSpec& job) { job.mutable_checkpoint()->set_from("/there"); },
      [](JobSpec& job) { job.mutable_checkpoint()->add_accept("numerics"); },
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    Circumstances is = Before();
    changes[i](is.job);
    EXPECT_EQ(Found(Before(), is), Lines()) << i;
  }
}

TEST(Dependencies, StepsMatterToASchedule) {
  Circumstances was = Before();
  was.job.mutable_training()->clear_schedule();
  Circumstances is = was;
  is.job.mutable_training()->set_steps(100);
  EXPECT_EQ(Found(was, is), Lines());
  // No shuffle would read the seed any more, but the weights come from it.
  was.job.mutable_data()->set_shuffle(SHUFFLE_NONE);
  is.job.mutable_data()->set_shuffle(SHUFFLE_NONE);
  is.job.mutable_training()->set_seed(100);
  EXPECT_EQ(Found(was, is), Lines{"training.seed: 0 -> 100"});
}

TEST(Dependencies, WhatAnOlderRecordDoesNotSayIsUnknown) {
  Circumstances was = Before();
  was.job.mutable_data()->clear_train_content();
  was.kernel_isa.clear();
  const Differences differences = DifferencesThatMatter(was, Before());
  EXPECT_TRUE(differences.found.empty());
  EXPECT_EQ(differences.unknown, (Lines{"data.train", "kernel_isa"}));
  // Nor is there anything to compare with while it is not known yet.
  EXPECT_TRUE(DifferencesThatMatter(Before(), was).found.empty());
  EXPECT_TRUE(DifferencesThatMatter(Before(), was).unknown.empty());
}

TEST(Dependencies, OnlyKeysThatMatterCanBeAccepted) {
  EXPECT_TRUE(CheckAccept("--accept", DependencyKeys()).ok());
  for (const char* bad :
       {"", "name", "cluster.wafers", "training.verify", "checkpoint.from", "lr"}) {
    const absl::Status refused = CheckAccept("checkpoint.accept", {"training.clip", bad});
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_TRUE(absl::StrContains(refused.message(), absl::StrCat("\"", bad, "\""))) << refused;
  }
}

// The table of the job file's keys says of each whether weights depend on it.
TEST(Dependencies, TheDocumentedColumnIsThisList) {
  std::ifstream file("docs/FORMATS.md");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  for (const JobKey& key : JobKeys()) {
    const std::vector<std::string> lines = absl::StrSplit(text, '\n');
    const std::string start = absl::StrCat("| `", key.path, "` |");
    const auto line = std::find_if(lines.begin(), lines.end(), [&](const std::string& l) {
      return absl::StartsWith(l, start);
    });
    ASSERT_NE(line, lines.end()) << key.path;
    const std::vector<std::string> cells = absl::StrSplit(*line, '|');
    EXPECT_EQ(absl::StartsWith(cells.at(4), " yes"), IsNumerics(key.path)) << *line;
  }
}

}  // namespace
}  // namespace waferstream
