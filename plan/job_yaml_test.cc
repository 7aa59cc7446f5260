#include "plan/job_yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "google/protobuf/util/message_differencer.h"
#include "plan/job_keys.h"

namespace waferstream {
namespace {

using google::protobuf::util::MessageDifferencer;

// The example of the design.
constexpr char kAusten[] = R"(name: austen-gpt
model: {family: gpt2, layers: 6, hidden: 256, heads: 8, vocab: 256, context: 256}
data: {train: austen.train.bin, validation: austen.val.bin, shuffle: none}
training:
  steps: 300
  global_batch: 32          # sequences
  micro_batch: 4            # sequences; part of the numerics
  precision: bf16
  seed: 1
  optimizer: {adamw: {lr: 1.0e-3, betas: [0.9, 0.95], weight_decay: 0.1}}
  schedule: {cosine: {warmup: 20, min_lr: 1.0e-4}}
  clip: 1.0
cluster: {wafers: 2, memoryx: 1, swarmx: 1, fanout: 4, wafer: {profile: wse3, sram: 256MiB}}
checkpoint: {every: 100, keep: 3}
)";

JobSpec MustParse(const std::string& text, const std::vector<std::string>& overrides = {}) {
  auto job = ParseJobYaml(text, "/data", overrides);
  EXPECT_TRUE(job.ok()) << job.status();
  return job.ok() ? *job : JobSpec();
}

std::string RefusalOf(const std::string& text, const std::vector<std::string>& overrides = {}) {
  const auto job = ParseJobYaml(text, "/data", overrides);
  EXPECT_EQ(job.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(job.status().message());
}

TEST(JobYaml, ReadsTheExampleAndFillsInDefaults) {
  const JobSpec job = MustParse(kAusten);
  EXPECT_EQ(job.name(), "austen-gpt");
  EXPECT_EQ(job.model().hidden(), 256u);
  ASSERT_EQ(job.data().train_size(), 1);
  EXPECT_EQ(job.data().train(0), "/data/austen.train.bin");
  EXPECT_EQ(job.training().precision(), BF16);
  EXPECT_EQ(job.training().optimizer().adamw().lr(), 1e-3);
  EXPECT_EQ(job.training().optimizer().adamw().beta2(), 0.95);
  EXPECT_EQ(job.training().schedule().cosine().warmup(), 20u);
  EXPECT_EQ(job.cluster().wafer().sram_bytes(), 256u << 20);
  EXPECT_EQ(job.model().ffn(), 1024u);
  EXPECT_TRUE(job.model().tied());
  EXPECT_EQ(job.model().norm_eps(), 1e-5);
  EXPECT_EQ(job.training().optimizer().adamw().eps(), 1e-8);
  EXPECT_EQ(job.training().tile_elements(), 1u << 20);
  EXPECT_EQ(job.training().validate_every(), 50u);
  EXPECT_EQ(job.training().recompute(), RECOMPUTE_AUTO);
  EXPECT_EQ(job.cluster().planes(), 1u);
  EXPECT_EQ(job.cluster().wafer().kernel_threads(), 1u);
  EXPECT_EQ(job.checkpoint().dir(), "");
}

TEST(JobYaml, WhatIsWrittenReadsBackEqual) {
  for (const std::vector<std::string>& overrides : std::vector<std::vector<std::string>>{
           {},
           {"training.optimizer={sgd: {lr: 0.3333333333333333, momentum: 0.9}}"},
           {"training.schedule=constant", "training.recompute=full", "model.tied=false"},
           {"name=\"yes: a, b # c\"", "checkpoint.dir='null'",
            "training.seed=18446744073709551615"},
           {"checkpoint.accept=[training.clip, build]", "data.validation_sequences=5"},
       }) {
    const JobSpec job = MustParse(kAusten, overrides);
    const JobSpec again = MustParse(ToYaml(job));
    EXPECT_TRUE(MessageDifferencer::Equals(job, again)) << ToYaml(job);
  }
}

TEST(JobYaml, OverridesReplaceWhatTheFileSays) {
  const JobSpec job =
      MustParse(kAusten, {"training.steps=5", "cluster.wafer.sram=1GiB", "training.tile=64K",
                          "training.optimizer={sgd: {lr: 0.1}}", "training.schedule=constant",
                          "data.validation=", "training.steps=6"});
  EXPECT_EQ(job.training().steps(), 6u);
  EXPECT_EQ(job.cluster().wafer().sram_bytes(), 1u << 30);
  EXPECT_EQ(job.training().tile_elements(), 65536u);
  EXPECT_TRUE(job.training().optimizer().has_sgd());
  EXPECT_FALSE(job.training().schedule().has_cosine());
  EXPECT_EQ(job.data().validation(), "");
}

TEST(JobYaml, AListMayBeOneText) {
  EXPECT_EQ(MustParse(kAusten).checkpoint().accept_size(), 0);
  const JobSpec one = MustParse(kAusten, {"checkpoint.accept=build"});
  ASSERT_EQ(one.checkpoint().accept_size(), 1);
  EXPECT_EQ(one.checkpoint().accept(0), "build");
  const JobSpec two = MustParse(kAusten, {"checkpoint.accept=[build, training.clip]"});
  ASSERT_EQ(two.checkpoint().accept_size(), 2);
  EXPECT_EQ(two.checkpoint().accept(1), "training.clip");
  EXPECT_EQ(RefusalOf(kAusten, {"checkpoint.accept=[{a: b}]"}),
            "--set: checkpoint.accept: must be a single value");
}

TEST(JobYaml, ABareOverrideCanAddASection) {
  const std::string constant =
      absl::StrReplaceAll(kAusten, {{"{cosine: {warmup: 20, min_lr: 1.0e-4}}", "constant"}});
  EXPECT_FALSE(MustParse(constant).training().schedule().has_cosine());
  const JobSpec job = MustParse(constant, {"training.schedule.cosine.warmup=3"});
  EXPECT_EQ(job.training().schedule().cosine().warmup(), 3u);
}

TEST(JobYaml, RefusesWithLinePathAndReason) {
  struct Case {
    const char* from;
    const char* to;
    const char* expected;
  };
  const Case cases[] = {
      {"micro_batch: 4 ", "micro_bach: 4",
       "job.yaml:7: training.micro_bach: unknown key; did you mean micro_batch?"},
      {"name: austen", "nmae: austen", "job.yaml:1: nmae: unknown key; did you mean name?"},
      {"  seed: 1", "  seed: 1\n  wafers: 3",
       "job.yaml:10: training.wafers: unknown key; did you mean cluster.wafers?"},
      {"  seed: 1", "  quux: 1", "job.yaml:9: training.quux: unknown key"},
      {"sram: 256MiB", "srma: 256MiB",
       "job.yaml:13: cluster.wafer.srma: unknown key; did you mean sram?"},
      {"  seed: 1", "  seed: 1\n  seed: 2", "job.yaml:10: training.seed: given twice"},
      {"  clip: 1.0", "  clip: 1.0\nmodel: {layers: 2}", "job.yaml:13: model: given twice"},
      {"steps: 300", "steps: many", "job.yaml:5: training.steps: \"many\" must be a whole number"},
      {"steps: 300", "steps: 1.5", "job.yaml:5: training.steps: \"1.5\" must be a whole number"},
      {"steps: 300", "steps: '300'",
       "job.yaml:5: training.steps: \"300\" must be a value without quotes"},
      {"steps: 300", "steps: [300]", "job.yaml:5: training.steps: must be a single value"},
      {"steps: 300", "steps:", "job.yaml:5: training.steps: has no value; leave the key out"},
      {"steps: 300", "steps: ~", "job.yaml:5: training.steps: has no value"},
      {"steps: 300", "steps: ''", "job.yaml:5: training.steps: has no value"},
      {"steps: 300", "steps: 0x10", "training.steps: \"0x10\" must be a whole number"},
      {"steps: 300", "steps: 010", "training.steps: \"010\" must be a whole number"},
      {"steps: 300", "steps: 1_000", "training.steps: \"1_000\" must be a whole number"},
      {"steps: 300", "steps: 1e3", "training.steps: \"1e3\" must be a whole number"},
      {"steps: 300", "steps: !int 3", "training.steps: \"3\" must be a value without a tag"},
      {"steps: 300", "steps: 99999999999999999999", "training.steps: "},
      {"steps: 300", "steps: 2147483648", "training.steps: 2147483648 must be at most"},
      {"steps: 300", "steps: 0", "job.yaml:5: training.steps: 0 must be at least 1"},
      {"global_batch: 32", "global_batch: -4",
       "job.yaml:6: training.global_batch: -4 must be at least 1"},
      {"vocab: 256", "vocab: 1048577", "job.yaml:2: model.vocab: 1048577 must be at most 1048576"},
      {"lr: 1.0e-3", "lr: 0", "job.yaml:10: training.optimizer.adamw.lr: 0 must be greater than 0"},
      {"lr: 1.0e-3", "lr: .nan", "training.optimizer.adamw.lr: \".nan\" must be a number"},
      {"lr: 1.0e-3", "lr: inf", "training.optimizer.adamw.lr: \"inf\" must be a number"},
      {"lr: 1.0e-3", "lr: 1e400", "training.optimizer.adamw.lr: \"1e400\" must be a number"},
      {"lr: 1.0e-3", "lr: 1e-400", "training.optimizer.adamw.lr: \"1e-400\" must be a number"},
      {"lr: 1.0e-3", "lr: 0x1p-3", "training.optimizer.adamw.lr: \"0x1p-3\" must be a number"},
      {"[0.9, 0.95]", "", "training.optimizer.adamw.betas: has no value"},
      {"validation: austen.val.bin", "validation: ", "job.yaml:3: data.validation: has no value"},
      {"name: austen-gpt", "name: ''", "job.yaml:1: name: has no value"},
      {"name: austen-gpt", "name: ../up", "job.yaml:1: name: \"../up\" must be a name and no path"},
      {"name: austen-gpt", "name: ..", "job.yaml:1: name: \"..\" must be a name and no path"},
      {"name: austen-gpt", "name: \"a\\x1b[2J\"", "job.yaml:1: name: \"a\\x1b[2J\" must be"},
      {"name: austen-gpt", "name: \"a\\nb\"", "job.yaml:1: name: \"a\\nb\" must be"},
      {"austen.train.bin", "\"a\\0.bin\"", "job.yaml:3: data.train: \"a\\x00.bin\" must be a path"},
      {"keep: 3", "dir: \"a\\nb\"", "checkpoint.dir: \"a\\nb\" must be a path"},
      {"wse3", "wse33", "cluster.wafer.profile: \"wse33\" must be one of wse2|wse3"},
      {"wse3", "''", "cluster.wafer.profile: has no value"},
      {"memoryx: 1", "memoryx: {nodes: 1, replicas: 0}", "replicas: 0 must be at least 1"},
      {"swarmx: 1", "swarmx: 1, memoryx: 1", "job.yaml:13: cluster.memoryx: given twice"},
      {"swarmx: 1", "swarmx: 1, wafers: {min: 1}", "cluster.wafers: given twice"},
      {"  seed: 1", "  <<: {seed: 1}", "job.yaml:9: training.<<: keys are not merged"},
      {"  seed: 1", "  optimizer.sgd.lr: 1", "training.optimizer.sgd.lr: a key with a dot"},
      {"name: austen-gpt", "name: *other", "job.yaml:1: the referenced anchor is not defined"},
      {"  seed: 1", "\tseed: 1", "job.yaml:9:"},
      {"  seed: 1", "  seed: 1\x04", "job.yaml:9: holds the control character 0x04"},
      {"  seed: 1", "  seed: 1\r  clip: 2", "job.yaml:9: holds the control character 0x0d"},
      {"  seed: 1\n", "  seed: 1\n---\n", "job.yaml:1"},
      {"keep: 3}\n", "keep: 3}\n---\nno_such_key: 1\n", "job.yaml:16: a second document"},
      {"keep: 3}\n", "keep: 3}\n---\n", "a second document; there may be one only"},
      {"name: austen-gpt", ",#a:4 -style modelp, {", "job.yaml:1: nothing begins like this at col"},
      {"name: austen-gpt", "] name: austen-gpt", "job.yaml:1: illegal flow end"},
      {"keep: 3}\n", "keep: 3}\n...\nname: b\n", "a second document; there may be one only"},
      {"lr: 1.0e-3, ", "", "job.yaml: training.optimizer.adamw.lr: missing"},
      {"0.95]", "1]", "job.yaml:10: training.optimizer.adamw.betas: 1 must be below 1"},
      {"[0.9, 0.95]", "0.9", "training.optimizer.adamw.betas: must be a list of two numbers"},
      {"precision: bf16", "precision: fp8",
       "job.yaml:8: training.precision: \"fp8\" must be one of f32|bf16"},
      {"256MiB", "256XiB", "cluster.wafer.sram: \"256XiB\" must be a whole number of bytes"},
      {"256MiB", "99999999999999999999GiB", "cluster.wafer.sram: "},
      {"256MiB", "18446744073709551615GiB", "must be at most"},
      {"  steps: 300\n", "", "job.yaml: training.steps: missing"},
      {"train: austen.train.bin, ", "", "job.yaml: data.train: missing"},
      {"train: austen.train.bin, ", "train: '', ", "job.yaml:3: data.train: has no value"},
      {"checkpoint: {", "checkpoint: 3 # {", "checkpoint: must be a section of keys"},
      {"  optimizer: {adamw", "  optimizer: {sgd: {lr: 1}, adamw",
       "job.yaml: training.optimizer: give one of adamw, sgd, lion, adafactor, muon"},
      {"model: {", "model: {{", "job.yaml:"},
  };
  for (const Case& c : cases) {
    const std::string text = absl::StrReplaceAll(kAusten, {{c.from, c.to}});
    ASSERT_NE(text, kAusten) << c.from;
    const std::string message = RefusalOf(text);
    EXPECT_TRUE(absl::StrContains(message, c.expected)) << message << "\nwant: " << c.expected;
    EXPECT_FALSE(absl::StrContains(message, "\n")) << message;
  }
  for (const char* empty : {"", "\n", "# nothing\n", "---\n", "[]", "text", "\xEF\xBB\xBF"}) {
    EXPECT_EQ(RefusalOf(empty), "job.yaml: not a job: there are no keys") << empty;
  }
}

// What another editor or system makes of the same file.
TEST(JobYaml, ReadsOtherLineEndsAndAMarkOfOrder) {
  const JobSpec job = MustParse(kAusten);
  const std::string crlf = absl::StrReplaceAll(kAusten, {{"\n", "\r\n"}});
  for (const std::string& text :
       {crlf, absl::StrCat("\xEF\xBB\xBF", kAusten), absl::StrCat("%YAML 1.2\n---\n", kAusten),
        absl::StrCat(kAusten, "...\n"), absl::StrCat("# caf\xC3\xA9\n", kAusten)}) {
    EXPECT_TRUE(MessageDifferencer::Equals(MustParse(text), job)) << text;
  }
  // The same with what the reader would call UTF-16.
  EXPECT_EQ(RefusalOf(std::string("\xFF\xFEn\0", 4)), "job.yaml:1: is not UTF-8");
  EXPECT_EQ(RefusalOf(std::string("n\0a\0", 4)), "job.yaml:1: holds the control character 0x00");
}

// Short texts that other readers need gigabytes, or a deep stack, for.
TEST(JobYaml, RefusesBombsAtOnce) {
  std::string laughs = "a: &a [x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c < 'z'; ++c) {
    const std::string last(1, c - 1);
    absl::StrAppend(&laughs, std::string(1, c), ": &", std::string(1, c), " [*", last, ", *", last,
                    ", *", last, ", *", last, ", *", last, ", *", last, "]\n");
  }
  EXPECT_EQ(RefusalOf(laughs).substr(0, 13), "job.yaml:1: a");
  RefusalOf("&a {model: *a}");
  RefusalOf("training: &a {optimizer: *a}");
  for (const char* nested :
       {"[", "{", "- ", "? ", "{a: ", "[[{", "&a ", "!a ", "a: [", "'", "|\n "}) {
    std::string text;
    while (text.size() < 100'000) text += nested;
    RefusalOf(text);
    RefusalOf(kAusten, {absl::StrCat("training.steps=", text)});
  }
  RefusalOf(kAusten, {absl::StrCat(std::string(1 << 20, 'x'), "=1")});
}

TEST(JobYaml, RefusesBadOverrides) {
  EXPECT_EQ(RefusalOf(kAusten, {"training.micro_bach=3"}),
            "--set: training.micro_bach: unknown key; did you mean micro_batch?");
  EXPECT_EQ(RefusalOf(kAusten, {"training.steps"}), "--set: training.steps: want key.path=value");
  EXPECT_EQ(RefusalOf(kAusten, {"training.steps=x"}),
            "--set: training.steps: \"x\" must be a whole number");
  EXPECT_EQ(RefusalOf(kAusten, {"training.optimizer.sgd.lr=1"}),
            "job.yaml: training.optimizer: give one of adamw, sgd, lion, adafactor, muon");
  EXPECT_EQ(RefusalOf(kAusten, {"training.steps="}),
            "--set: training.steps: has no value; leave the key out, or give it one");
  EXPECT_EQ(RefusalOf(kAusten, {"training.steps=3\n---\n4"}),
            "--set: a second document; there may be one only");
  EXPECT_EQ(RefusalOf(kAusten, {"training.steps=,"}),
            "--set: nothing begins like this at column 1");
  EXPECT_EQ(RefusalOf(kAusten, {"training={steps: 3, steps: 4}"}),
            "--set: training.steps: given twice");
  EXPECT_EQ(RefusalOf(kAusten, {"training.optimizer={adamw: {lr: 1}, adamw: {lr: 2}}"}),
            "--set: training.optimizer.adamw: given twice");
  EXPECT_EQ(RefusalOf(kAusten, {"name=../../../escaped"}),
            "--set: name: \"../../../escaped\" must be a name and no path");
  EXPECT_EQ(RefusalOf(kAusten, {"=1"}), "--set: unknown key");
  EXPECT_EQ(RefusalOf(kAusten, {""}), "--set: want key.path=value");
  EXPECT_EQ(RefusalOf(kAusten, {"training.steps=\xFF"}), "--set: is not UTF-8");
}

TEST(JobYaml, ReadsSeveralFilesAndTheirWeights) {
  const JobSpec job =
      MustParse(kAusten, {"data.train=[a.bin, sub/b.bin]", "data.weights=[3, 0.5]"});
  ASSERT_EQ(job.data().train_size(), 2);
  EXPECT_EQ(job.data().train(1), "/data/sub/b.bin");
  ASSERT_EQ(job.data().weights_size(), 2);
  EXPECT_EQ(job.data().weights(1), 0.5);
  EXPECT_EQ(RefusalOf(kAusten, {"data.train=[]"}),
            "--set: data.train: has no value; leave the key out, or give it one");
  EXPECT_EQ(RefusalOf(kAusten, {"data.train=[a.bin, '']"}),
            "--set: data.train: has no value; leave the key out, or give it one");
  EXPECT_EQ(RefusalOf(kAusten, {"data.weights=[1, 0]"}),
            "--set: data.weights: 0 must be greater than 0");
}

TEST(JobYaml, ReadsAdapters) {
  EXPECT_FALSE(MustParse(kAusten).model().has_lora());
  const JobSpec job = MustParse(kAusten, {"model.lora={rank: 4, alpha: 8, targets: c_attn}"});
  EXPECT_EQ(job.model().lora().rank(), 4u);
  EXPECT_EQ(job.model().lora().alpha(), 8);
  ASSERT_EQ(job.model().lora().targets_size(), 1);
  EXPECT_EQ(RefusalOf(kAusten, {"model.lora={rank: 4, alpha: 8, targets: [c_attn, q_proj]}"}),
            "--set: model.lora.targets: \"q_proj\" matches no matrix of a product, like "
            "h.0.attn.c_attn.weight");
  EXPECT_EQ(RefusalOf(kAusten, {"model.lora={rank: 4, alpha: 8}"}),
            "job.yaml: model.lora.targets: missing");
}

TEST(JobYaml, TextIsUtf8) {
  for (const char* good : {"caf\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"}) {
    EXPECT_EQ(MustParse(kAusten, {absl::StrCat("name=\"", good, "\"")}).name(), good);
  }
  // A stray byte, an overlong form, one that is cut off, a byte that never occurs.
  for (const char* bad : {"caf\xE9", "\xE0\x82\xAC", "\xF0\x9F", "gpt\xFF\xFF"}) {
    EXPECT_EQ(RefusalOf(absl::StrReplaceAll(kAusten, {{"austen-gpt", bad}})),
              "job.yaml:1: is not UTF-8");
  }
}

TEST(JobYaml, RefusesPathsThatCannotBeSent) {
  const auto job = ParseJobYaml(kAusten, "/caf\xE9", {});
  EXPECT_EQ(job.status().message(), "data.train: is not UTF-8");
  EXPECT_FALSE(ParseJobYaml(kAusten, std::string(5000, 'x'), {}).ok());
}

// base/regular_file_test has the rest of what can stand where a file should.
TEST(JobYaml, RefusesWhatIsNoFileOrTooLarge) {
  const std::filesystem::path folder = std::getenv("TEST_TMPDIR");
  for (const char* path : {"/dev/zero", "/", ""}) {
    EXPECT_EQ(ReadJobFile(path, {}).status().code(), absl::StatusCode::kInvalidArgument) << path;
  }
  std::ofstream(folder / "large.yaml") << kAusten << std::string(2 << 20, '#');
  EXPECT_EQ(ReadJobFile((folder / "large.yaml").string(), {}).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(JobYaml, ReadsAFileAndResolvesDataBesideIt) {
  const std::filesystem::path folder = std::getenv("TEST_TMPDIR");
  std::ofstream(folder / "a.yaml") << kAusten;
  const auto job = ReadJobFile((folder / "a.yaml").string(), {"data.validation=/abs/v.bin"});
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->data().train(0), (folder / "austen.train.bin").string());
  EXPECT_EQ(job->data().validation(), "/abs/v.bin");
  EXPECT_EQ(ReadJobFile((folder / "no.yaml").string(), {}).status().code(),
            absl::StatusCode::kNotFound);
}

TEST(JobYaml, AModelOfAFolderFillsInWhatIsNotSaid) {
  const std::string rest =
      "data: {train: a.bin}\n"
      "training: {steps: 1, global_batch: 2, micro_batch: 1, optimizer: {sgd: {lr: 0.1}}}\n";
  ModelSpec there;
  there.set_family("llama");
  there.set_layers(3);
  there.set_hidden(64);
  there.set_context(4096);
  const auto model_of = [&](const std::string& folder) -> absl::StatusOr<ModelSpec> {
    if (folder == "there") return there;
    return absl::NotFoundError(folder + " is not there");
  };
  const auto job =
      ParseJobYaml("model: {from: there, context: 128}\n" + rest, "/", {}, "job.yaml", model_of);
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->model().layers(), 3u);
  EXPECT_EQ(job->model().context(), 128u);
  EXPECT_EQ(job->checkpoint().from(), "there");
  const auto other = ParseJobYaml("model: {from: there}\ncheckpoint: {from: elsewhere}\n" + rest,
                                  "/", {}, "job.yaml", model_of);
  EXPECT_EQ(other->checkpoint().from(), "elsewhere");
  EXPECT_EQ(ParseJobYaml("model: {from: nowhere}\n" + rest, "/", {}, "job.yaml", model_of)
                .status()
                .message(),
            "job.yaml:1: model.from: nowhere is not there");
  EXPECT_THAT(std::string(ParseJobYaml("model: {from: [1]}\n" + rest, "/", {}, "job.yaml", model_of)
                              .status()
                              .message()),
              testing::HasSubstr("model.from: must be a folder"));
}

// docs/FORMATS.md prints the list of keys; here the two are kept equal.
TEST(JobYaml, EveryKeyIsDocumentedWithItsDefault) {
  std::ifstream file("docs/FORMATS.md");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  for (const JobKey& key : JobKeys()) {
    const std::string fallback = key.required           ? "required"
                                 : key.fallback.empty() ? ""
                                                        : absl::StrCat("`", key.fallback, "`");
    EXPECT_TRUE(absl::StrContains(text, absl::StrCat("| `", key.path, "` | ", fallback)))
        << key.path << " " << fallback;
  }
}

// The file says where, and the model what its tensors are called.
TEST(JobYaml, APatternOfNoTensorIsRefusedWithItsLine) {
  const auto with = [](const char* lines) {
    return absl::StrReplaceAll(kAusten, {{"  clip: 1.0\n", lines}});
  };
  EXPECT_EQ(RefusalOf(with("  clip: 1.0\n  freeze: [wte.weight, wpe.wieght]\n")),
            "job.yaml:13: training.freeze: \"wpe.wieght\" matches no tensor of the model; did you "
            "mean wpe.weight?");
  EXPECT_EQ(RefusalOf(with("  no_decay: lm_head.*\n")),
            "job.yaml:12: training.no_decay: \"lm_head.*\" matches no tensor of the model; names "
            "are like ln_f.bias");
  EXPECT_EQ(RefusalOf(kAusten, {"training.decay=x*"}),
            "--set: training.decay: \"x*\" matches no tensor of the model; names are like "
            "ln_f.bias");
  const JobSpec job = MustParse(with("  freeze: [h.0.*, transformer.wte.*]\n"));
  EXPECT_EQ(job.training().freeze_size(), 2);
}

TEST(JobYaml, ReadsTheOtherOptimizersAndSchedules) {
  const auto with = [](const char* optimizer, const char* schedule) {
    return MustParse(absl::StrReplaceAll(
        kAusten, {{"{adamw: {lr: 1.0e-3, betas: [0.9, 0.95], weight_decay: 0.1}}", optimizer},
                  {"{cosine: {warmup: 20, min_lr: 1.0e-4}}", schedule}}));
  };
  const JobSpec muon = with("{muon: {lr: 0.02, rest: {lr: 3e-4}}}", "{wsd: {decay: 5}}");
  EXPECT_EQ(muon.training().optimizer().muon().momentum(), 0.95);
  EXPECT_EQ(muon.training().optimizer().muon().rest().beta2(), 0.95);
  EXPECT_EQ(muon.training().schedule().wsd().decay(), 5u);
  const JobSpec lion = with("{lion: {lr: 1e-4}}", "{constant: {warmup: 3}}");
  EXPECT_EQ(lion.training().optimizer().lion().beta2(), 0.99);
  EXPECT_EQ(lion.training().schedule().constant().warmup(), 3u);
  const JobSpec adafactor = with("{adafactor: {lr: 1e-2}}", "{linear: {min_lr: 1e-5}}");
  EXPECT_EQ(adafactor.training().optimizer().adafactor().beta2_decay(), -0.8);
  EXPECT_EQ(adafactor.training().schedule().linear().min_lr(), 1e-5);
  for (const JobSpec& job : {muon, lion, adafactor}) {
    const auto again = ParseJobYaml(ToYaml(job), "/data", {});
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_TRUE(MessageDifferencer::Equals(*again, job));
  }
}

}  // namespace
}  // namespace waferstream
