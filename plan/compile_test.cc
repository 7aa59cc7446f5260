// What Compile() settles: tiles and their owners, waves, the learning rate, refusals, the hash.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "plan/plan.h"
#include "plan/test_job.h"

namespace waferstream {
namespace {

Plan MustCompile(const JobSpec& job, const ClusterShape& shape) {
  auto plan = Compile(job, shape);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *std::move(plan);
}

TEST(Compile, EveryLeafIsComputedOnceWaveMajorAndBalanced) {
  for (int wafers : {1, 2, 3, 5, 8, 11}) {
    for (uint32_t batch : {1u, 4u, 7u, 8u, 24u}) {
      JobSpec job = TestJob();
      job.mutable_training()->set_global_batch(batch);
      const Plan plan = MustCompile(job, {.wafers = wafers, .memoryx = 1, .swarmx = 1});
      int next = 0;
      for (int wave = 0; wave < plan.waves; ++wave) {
        for (int wafer = 0; wafer < wafers; ++wafer) {
          const LeafSpan span = plan.TrainingLeaves(wave, wafer);
          ASSERT_EQ(span.first, next);
          ASSERT_LE(span.count, plan.resident_max);
          next += span.count;
        }
        EXPECT_LE(plan.TrainingLeaves(wave, 0).count,
                  plan.TrainingLeaves(wave, wafers - 1).count + 1);
      }
      EXPECT_EQ(next, plan.leaves);
    }
  }
}

TEST(Compile, TightSramMeansMoreWavesAndMoreRecomputation) {
  JobSpec job = TestJob();
  const ClusterShape shape;
  const Plan roomy = MustCompile(job, shape);
  EXPECT_EQ(roomy.waves, 1);
  EXPECT_EQ(roomy.policy.recompute, RECOMPUTE_NONE);
  // Every byte less than what one wave of `none` takes: never a crash, never more than is there.
  std::set<int> waves;
  std::set<Recompute> recomputes;
  for (size_t sram = roomy.sram.bytes - 1; sram > 0; sram = sram * 9 / 10) {
    job.mutable_cluster()->mutable_wafer()->set_sram_bytes(sram);
    const auto plan = Compile(job, shape);
    if (!plan.ok()) {
      EXPECT_EQ(plan.status().code(), absl::StatusCode::kResourceExhausted) << plan.status();
      break;
    }
    EXPECT_LE(plan->sram.bytes, sram);
    waves.insert(plan->waves);
    recomputes.insert(plan->policy.recompute);
  }
  EXPECT_GT(waves.size(), 2u);
  EXPECT_TRUE(recomputes.contains(RECOMPUTE_FULL));
}

TEST(Compile, AutoTakesTheLeastRecomputationWithWhichAStepIsOneWave) {
  JobSpec job = TestJob();
  std::map<Recompute, size_t> one_wave;
  for (Recompute recompute : {RECOMPUTE_NONE, RECOMPUTE_SELECTIVE, RECOMPUTE_FULL}) {
    job.mutable_training()->set_recompute(recompute);
    one_wave[recompute] = SramNeeded(MustCompile(job, {}));
  }
  ASSERT_GT(one_wave[RECOMPUTE_NONE], one_wave[RECOMPUTE_SELECTIVE]);
  ASSERT_GT(one_wave[RECOMPUTE_SELECTIVE], one_wave[RECOMPUTE_FULL]);
  job.mutable_training()->set_recompute(RECOMPUTE_AUTO);
  for (const auto& [recompute, bytes] : one_wave) {
    job.mutable_cluster()->mutable_wafer()->set_sram_bytes(bytes);
    const Plan plan = MustCompile(job, {});
    EXPECT_EQ(plan.policy.recompute, recompute);
    EXPECT_EQ(plan.waves, 1);
  }
  // A byte less, and the layer's weights are streamed twice instead of being held.
  job.mutable_cluster()->mutable_wafer()->set_sram_bytes(one_wave[RECOMPUTE_FULL] - 1);
  const Plan twice = MustCompile(job, {});
  EXPECT_EQ(twice.policy.recompute, RECOMPUTE_FULL);
  EXPECT_FALSE(twice.policy.holds_weights);
  EXPECT_EQ(twice.waves, 1);
  EXPECT_GT(twice.program.backward_stream.size(),
            MustCompile(TestJob(), {}).program.backward_stream.size());
  // Not even that makes it one wave: several, with as little recomputation as fits.
  job.mutable_cluster()->mutable_wafer()->set_sram_bytes(SramNeeded(twice) - 1);
  EXPECT_EQ(MustCompile(job, {}).policy.recompute, RECOMPUTE_NONE);
  EXPECT_GT(MustCompile(job, {}).waves, 1);
}

TEST(Compile, TheRefusalNamesTheExactBytesThatWouldDo) {
  JobSpec job = TestJob();
  job.mutable_training()->set_global_batch(16);
  job.mutable_training()->set_micro_batch(16);
  job.mutable_cluster()->mutable_wafer()->set_sram_bytes(300000);
  const auto refused = Compile(job, {});
  ASSERT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  const std::string message(refused.status().message());
  const std::string before = "cluster.wafer.sram at least ";
  const size_t at = message.find(before);
  ASSERT_NE(at, std::string::npos) << message;
  const uint64_t enough = std::stoull(message.substr(at + before.size()));
  job.mutable_cluster()->mutable_wafer()->set_sram_bytes(enough - 1);
  EXPECT_FALSE(Compile(job, {}).ok());
  job.mutable_cluster()->mutable_wafer()->set_sram_bytes(enough);
  EXPECT_TRUE(Compile(job, {}).ok());
}

TEST(Compile, TheRefusalNamesTheLargestMicroBatchThatWouldDo) {
  JobSpec job = TestJob();
  job.mutable_training()->set_global_batch(16);
  job.mutable_training()->set_micro_batch(16);
  job.mutable_cluster()->mutable_wafer()->set_sram_bytes(900000);
  const std::string message(Compile(job, {}).status().message());
  const std::string before = "training.micro_batch at most ";
  const size_t at = message.find(before);
  ASSERT_NE(at, std::string::npos) << message;
  const uint32_t enough = std::stoul(message.substr(at + before.size()));
  EXPECT_LT(enough, 16u);
  job.mutable_training()->set_micro_batch(enough);
  EXPECT_TRUE(Compile(job, {}).ok());
  job.mutable_training()->set_micro_batch(2 * enough);
  EXPECT_FALSE(Compile(job, {}).ok());
}

TEST(Compile, TheRefusalNamesRecomputationWhenThatWouldDo) {
  JobSpec job = TestJob();
  job.mutable_model()->set_layers(24);  // enough activations that recomputation pays
  job.mutable_training()->set_global_batch(1);
  job.mutable_training()->set_recompute(RECOMPUTE_NONE);
  job.mutable_cluster()->mutable_wafer()->set_sram_bytes(SramNeeded(MustCompile(job, {})) - 1);
  const absl::Status refused = Compile(job, {}).status();
  EXPECT_TRUE(absl::StrContains(refused.message(), "or training.recompute auto")) << refused;
  job.mutable_training()->set_recompute(RECOMPUTE_AUTO);
  EXPECT_TRUE(Compile(job, {}).ok());
}

TEST(Compile, OwnersAndPlanesCarryEqualShares) {
  JobSpec job = TestJob();
  job.mutable_cluster()->set_planes(2);
  const Plan plan = MustCompile(job, {.wafers = 1, .memoryx = 3, .swarmx = 1});
  std::map<std::pair<int, int>, int64_t> load;
  int64_t largest = 0;
  for (const Tile& tile : plan.tiles) {
    load[{tile.shard, tile.plane}] += tile.elements;
    largest = std::max(largest, tile.elements);
  }
  ASSERT_EQ(load.size(), 6u);
  for (const auto& [where, elements] : load) {
    EXPECT_NEAR(elements, plan.parameter_elements / 6.0, largest) << where.first;
  }
}

TEST(Compile, ContradictionsAreRefusedByName) {
  struct Case {
    const char* expected;
    void (*spoil)(JobSpec&);
  };
  const Case cases[] = {
      {"training.global_batch: 9 is not divisible by training.micro_batch: 2",
       [](JobSpec& j) {
         j.mutable_training()->set_global_batch(9);
         j.mutable_training()->set_micro_batch(2);
       }},
      {"model.hidden: 30 is not divisible by model.heads: 4",
       [](JobSpec& j) { j.mutable_model()->set_hidden(30); }},
      {"model.vocab: 1048577 must be at most 1048576",
       [](JobSpec& j) { j.mutable_model()->set_vocab((1 << 20) + 1); }},
      {"model.window: 5, but the family gpt2 has none",
       [](JobSpec& j) { j.mutable_model()->set_window(5); }},
      {"model.kv_heads: 2, but the family gpt2 has none",
       [](JobSpec& j) { j.mutable_model()->set_kv_heads(2); }},
      {"model.sequential: 1, but the family llama has none",
       [](JobSpec& j) {
         j.mutable_model()->set_family("llama");
         j.mutable_model()->set_sequential(true);
       }},
      {"model.exact_gelu: 1, but the family llama has none",
       [](JobSpec& j) {
         j.mutable_model()->set_family("llama");
         j.mutable_model()->set_exact_gelu(true);
       }},
      {"model.rope_fraction: 0.5, but the family llama has none",
       [](JobSpec& j) {
         j.mutable_model()->set_family("llama");
         j.mutable_model()->set_rope_fraction(0.5);
       }},
      {"model.rope_theta: 5000; the family gptj has 10000",
       [](JobSpec& j) {
         j.mutable_model()->set_family("gptj");
         j.mutable_model()->set_rope_theta(5000);
       }},
      {"model.rope_low_freq_factor: 2, but there is no model.rope_factor",
       [](JobSpec& j) {
         j.mutable_model()->set_family("llama");
         j.mutable_model()->set_rope_low_freq_factor(2);
       }},
      {"model.experts: 4, but the family llama has none",
       [](JobSpec& j) {
         j.mutable_model()->set_family("llama");
         j.mutable_model()->set_experts(4);
       }},
      {"model.experts is missing; the family mixtral has several",
       [](JobSpec& j) { j.mutable_model()->set_family("mixtral"); }},
      {"model.experts_per_token: 5 must be from 1 to model.experts: 4",
       [](JobSpec& j) {
         j.mutable_model()->set_family("qwen3_moe");
         j.mutable_model()->set_experts(4);
         j.mutable_model()->set_experts_per_token(5);
       }},
      {"model.norm_topk: 1, but the family mixtral has none",
       [](JobSpec& j) {
         j.mutable_model()->set_family("mixtral");
         j.mutable_model()->set_experts(4);
         j.mutable_model()->set_experts_per_token(2);
         j.mutable_model()->set_norm_topk(true);
       }},
      {"model.experts: 1024 in each of 4096 layers are more than",
       [](JobSpec& j) {
         j.mutable_model()->set_family("mixtral");
         j.mutable_model()->set_layers(4096);
         j.mutable_model()->set_experts(1024);
         j.mutable_model()->set_experts_per_token(2);
       }},
      {"model.heads: 4 is not divisible by model.kv_heads: 3",
       [](JobSpec& j) {
         j.mutable_model()->set_family("llama");
         j.mutable_model()->set_kv_heads(3);
       }},
      {"model.head_dim: of 7 columns 7 are turned by their position, which takes pairs",
       [](JobSpec& j) {
         j.mutable_model()->set_family("qwen3");
         j.mutable_model()->set_head_dim(7);
       }},
      {"model.rope_original_context: 0; with model.rope_factor",
       [](JobSpec& j) {
         j.mutable_model()->set_family("llama");
         j.mutable_model()->set_rope_factor(8);
       }},
      {"model.kv_heads: 2; the family gptj has 4",
       [](JobSpec& j) {
         j.mutable_model()->set_family("gptj");
         j.mutable_model()->set_kv_heads(2);
       }},
      {"training.micro_batch: 0 must be at least 1",
       [](JobSpec& j) { j.mutable_training()->set_micro_batch(0); }},
      {"training.optimizer.adamw.lr: 0 must be greater than 0",
       [](JobSpec& j) { j.mutable_training()->mutable_optimizer()->mutable_adamw()->set_lr(0); }},
      {"training.optimizer.adamw.betas: 1 must be below 1",
       [](JobSpec& j) {
         j.mutable_training()->mutable_optimizer()->mutable_adamw()->set_beta2(1);
       }},
      {"training.optimizer: give one of adamw, sgd, lion, adafactor, muon",
       [](JobSpec& j) { j.mutable_training()->clear_optimizer(); }},
      {"data.weights: 1 numbers, but data.train has 2 files",
       [](JobSpec& j) {
         j.mutable_data()->add_train("a.bin");
         j.mutable_data()->add_train("b.bin");
         j.mutable_data()->add_weights(1);
       }},
      {"training.tile: 0 must be at least 1",
       [](JobSpec& j) { j.mutable_training()->set_tile_elements(0); }},
      {"model.layers: 4097 must be at most 4096",
       [](JobSpec& j) { j.mutable_model()->set_layers(4097); }},
      {"model.family: \"bert\" is not known",
       [](JobSpec& j) { j.mutable_model()->set_family("bert"); }},
  };
  for (const Case& c : cases) {
    JobSpec job = TestJob();
    c.spoil(job);
    const absl::Status status = Compile(job, {}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.expected;
    EXPECT_TRUE(absl::StrContains(status.message(), c.expected)) << status;
  }
  EXPECT_EQ(Compile(TestJob(), {.wafers = 0, .memoryx = 1, .swarmx = 1}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

// A job comes over the network: what it asks for is refused before anything of its size is
// allocated or tried.
TEST(Compile, AHostileJobTakesNeitherMemoryNorTime) {
  const auto refusal = [](void (*spoil)(JobSpec&)) {
    JobSpec job = TestJob();
    spoil(job);
    return std::string(Compile(job, RequestedShape(job)).status().message());
  };
  EXPECT_EQ(refusal([](JobSpec& j) {
              j.mutable_cluster()->set_wafers(1 << 16);
              j.mutable_cluster()->set_planes(256);
            }),
            "cluster.planes: 256 planes of 65536 wafers and 1 MemoryX nodes make more than 1048576 "
            "channels");
  EXPECT_EQ(refusal([](JobSpec& j) {
              j.mutable_cluster()->set_memoryx(1 << 16);
              j.mutable_cluster()->set_replicas(1 << 16);
            }),
            "cluster.memoryx.replicas: 65536 copies of 65536 shards are more than 1048576");
  EXPECT_EQ(refusal([](JobSpec& j) {
              j.mutable_model()->set_layers(4096);
              j.mutable_model()->set_hidden(128);
              j.mutable_training()->set_tile_elements(32);
            }),
            "training.tile: 32 elements make more than 2097152 tiles");
  // Not a number that a row count could be made of, and unchecked by the keys of training.
  EXPECT_EQ(refusal([](JobSpec& j) {
              j.mutable_generate()->add_prompt(1);
              j.mutable_generate()->set_tokens(1);
              j.mutable_training()->set_tile_elements(uint64_t{1} << 63);
            }),
            "training.tile: 9223372036854775808 must be at most 1073741824");
  EXPECT_EQ(
      refusal([](JobSpec& j) { j.mutable_training()->set_global_batch(1 << 17); }),
      "training.micro_batch: 1 makes 131072 micro-batches of a global batch, more than 65536");
  // Hundreds of smaller micro-batches, none of which fits.
  const std::string tried = refusal([](JobSpec& j) {
    j.mutable_training()->set_global_batch(14414400);
    j.mutable_training()->set_micro_batch(14414400);
    j.mutable_cluster()->mutable_wafer()->set_sram_bytes(1);
  });
  EXPECT_TRUE(absl::StrContains(tried, "cannot hold one micro-batch")) << tried;
}

// A job that came over the network: no file was read that could have refused it.
TEST(Compile, ValuesFromElsewhereAreCheckedByTheirKeys) {
  const auto refusal = [](const std::function<void(JobSpec&)>& change) {
    JobSpec job = TestJob();
    change(job);
    const auto plan = Compile(job, {});
    EXPECT_EQ(plan.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(plan.status().message());
  };
  const double inf = std::numeric_limits<double>::infinity();
  using Change = std::function<void(JobSpec&)>;
  const std::pair<const char*, Change> cases[] = {
      {"name: ", [](JobSpec& j) { j.set_name("../up"); }},
      {"name: ", [](JobSpec& j) { j.set_name("a\nb"); }},
      {"data.train: ", [](JobSpec& j) { j.mutable_data()->add_train(std::string("a\0b", 3)); }},
      {"checkpoint.dir: ", [](JobSpec& j) { j.mutable_checkpoint()->set_dir("a\x1b"); }},
      {"cluster.wafer.profile: ",
       [](JobSpec& j) { j.mutable_cluster()->mutable_wafer()->set_profile("wse33"); }},
      {"training.precision: ",
       [](JobSpec& j) { j.mutable_training()->set_precision(static_cast<Precision>(2)); }},
      {"training.recompute: ",
       [](JobSpec& j) { j.mutable_training()->set_recompute(static_cast<Recompute>(-1)); }},
      {"data.shuffle: ",
       [](JobSpec& j) { j.mutable_data()->set_shuffle(static_cast<Shuffle>(9)); }},
      {"training.clip: ", [=](JobSpec& j) { j.mutable_training()->set_clip(inf); }},
      {"training.clip: ", [=](JobSpec& j) { j.mutable_training()->set_clip(inf - inf); }},
      {"training.amendments.lr: ",
       [=](JobSpec& j) { j.mutable_training()->add_amendments()->set_lr(inf); }},
  };
  for (const auto& [field, change] : cases) {
    const std::string message = refusal(change);
    EXPECT_EQ(message.substr(0, std::string(field).size()), field) << message;
  }
  JobSpec unset = TestJob();  // replicas, 0: as if they were not given
  unset.clear_name();
  EXPECT_TRUE(Compile(unset, {}).ok());
}

TEST(Compile, AGenerationIsCheckedAgainstItsModel) {
  JobSpec good = TestJob();
  good.mutable_generate()->add_prompt(63);
  good.mutable_generate()->set_tokens(1);
  ASSERT_TRUE(Compile(good, {}).ok());
  const auto refusal = [&](const std::function<void(GenerateSpec&)>& change) {
    JobSpec job = good;
    change(*job.mutable_generate());
    return std::string(Compile(job, {}).status().message());
  };
  EXPECT_EQ(refusal([](GenerateSpec& g) { g.add_prompt(64); }),
            "generate.prompt: 64 is not below the vocabulary of 64");
  EXPECT_EQ(refusal([](GenerateSpec& g) { g.clear_prompt(); }), "generate.prompt: is empty");
  EXPECT_EQ(refusal([](GenerateSpec& g) { g.set_tokens(0); }),
            "generate.tokens: 0 must be at least 1");
  EXPECT_EQ(refusal([](GenerateSpec& g) { g.set_temperature(std::nan("")); }),
            "generate.temperature: nan must be at least 0");
  EXPECT_EQ(refusal([](GenerateSpec& g) { g.set_temperature(101); }),
            "generate.temperature: 101 must be at most 100");
}

TEST(Compile, TheHashIsThatOfTheInputs) {
  const ClusterShape shape{.wafers = 2, .memoryx = 2, .swarmx = 2};
  const uint64_t hash = MustCompile(TestJob(), shape).Hash();
  EXPECT_EQ(MustCompile(TestJob(), shape).Hash(), hash);
  JobSpec other = TestJob();
  other.mutable_training()->set_seed(7);
  EXPECT_NE(MustCompile(other, shape).Hash(), hash);
  EXPECT_NE(MustCompile(TestJob(), {.wafers = 2, .memoryx = 2, .swarmx = 1}).Hash(), hash);
}

TEST(Compile, TheHashCoversTheTables) {
  Plan plan = MustCompile(TestJob(), {});
  const uint64_t hash = plan.Hash();
  plan.tiles[3].shard = 1;
  EXPECT_NE(plan.Hash(), hash);
  plan.tiles[3].shard = 0;
  EXPECT_EQ(plan.Hash(), hash);
  std::swap(plan.program.backward_stream[0], plan.program.backward_stream[1]);
  EXPECT_NE(plan.Hash(), hash);
}

TEST(Compile, AGenerationIsOneSequenceForwardOnly) {
  JobSpec job = TestJob();
  job.clear_training();
  job.clear_data();
  job.mutable_generate()->add_prompt(1);
  job.mutable_generate()->set_tokens(3);
  const Plan plan = MustCompile(job, {.wafers = 2, .memoryx = 1, .swarmx = 1});
  EXPECT_EQ(plan.leaves, 1);
  EXPECT_EQ(plan.waves, 1);
  EXPECT_EQ(plan.TrainingLeaves(0, 0).count, 1);
  EXPECT_EQ(plan.TrainingLeaves(0, 1).count, 0);
  for (const Channel& channel : plan.channels) {
    EXPECT_EQ(channel.gradient_window.slots[kLarge], 0);
  }
}

TEST(LearningRate, WarmsUpAndFallsAlongTheCosine) {
  JobSpec job = TestJob();
  job.mutable_training()->set_steps(10);
  Plan plan = MustCompile(job, {});
  EXPECT_DOUBLE_EQ(plan.LearningRate(0), 1e-3);  // no schedule: constant
  EXPECT_DOUBLE_EQ(plan.LearningRate(9), 1e-3);
  Cosine* cosine = plan.job.mutable_training()->mutable_schedule()->mutable_cosine();
  cosine->set_warmup(4);
  cosine->set_min_lr(1e-4);
  EXPECT_DOUBLE_EQ(plan.LearningRate(0), 0.25e-3);
  EXPECT_DOUBLE_EQ(plan.LearningRate(3), 1e-3);
  EXPECT_DOUBLE_EQ(plan.LearningRate(4), 1e-3);
  EXPECT_NEAR(plan.LearningRate(7), 5.5e-4, 1e-15);
  EXPECT_NEAR(plan.LearningRate(10), 1e-4, 1e-15);
  cosine->set_warmup(20);  // longer than the job: never leaves the ramp
  EXPECT_DOUBLE_EQ(plan.LearningRate(9), 0.5e-3);
}

TEST(Due, TheLastStepAlwaysIs) {
  JobSpec job = TestJob();
  job.mutable_training()->set_steps(7);
  job.mutable_training()->set_validate_every(3);
  job.mutable_data()->set_validation("v.bin");
  const Plan plan = MustCompile(job, {});
  for (uint64_t done = 0; done <= 7; ++done) {
    EXPECT_EQ(plan.ValidationDue(done), done == 3 || done == 6 || done == 7) << done;
    EXPECT_EQ(plan.CheckpointDue(done), done == 7) << done;
  }
  job.mutable_training()->set_validate_every(0);
  EXPECT_FALSE(MustCompile(job, {}).ValidationDue(7));
}

// How large the validation is follows from the file and from what is asked, not from the batch.
TEST(Validation, EverySequenceOnce) {
  JobSpec job = TestJob();
  job.mutable_training()->set_validate_every(3);
  job.mutable_training()->set_micro_batch(4);
  job.mutable_data()->set_validation("v.bin");
  const auto sizes = [&](uint64_t tokens, uint64_t asked) {
    job.mutable_data()->mutable_validation_content()->set_tokens(tokens);
    job.mutable_data()->set_validation_sequences(asked);
    const Plan plan = MustCompile(job, {});
    return std::pair<int64_t, int>(plan.validation_sequences, plan.validation_leaves);
  };
  const uint64_t context = job.model().context();
  for (const uint32_t global_batch : {4u, 8u, 64u}) {
    job.mutable_training()->set_global_batch(global_batch);
    EXPECT_EQ(sizes(9 * context + 1, 0), std::pair(int64_t{9}, 3));
    EXPECT_EQ(sizes(9 * context, 0), std::pair(int64_t{8}, 2));
    EXPECT_EQ(sizes(9 * context + 1, 9), std::pair(int64_t{9}, 3));
    EXPECT_EQ(sizes(9 * context + 1, 1), std::pair(int64_t{1}, 1));
  }
  job.mutable_data()->set_validation_sequences(10);
  const absl::Status refused = Compile(job, {}).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(refused.message(),
            "data.validation_sequences: 10, but v.bin has 9 sequences of context 16");
  job.mutable_data()->set_validation_sequences(0);
  job.mutable_data()->mutable_validation_content()->set_tokens(uint64_t{1} << 40);
  EXPECT_TRUE(absl::StrContains(Compile(job, {}).status().message(), "more than 262144"));
}

// A trillion parameters in a million tiles on a thousand wafers.
TEST(Compile, ATrillionParametersTakeSeconds) {
  JobSpec job = TestJob();
  ModelSpec* model = job.mutable_model();
  model->set_layers(128);
  model->set_hidden(25600);
  model->set_heads(160);
  model->set_ffn(4 * 25600);
  model->set_vocab(50257);
  model->set_context(2048);
  job.mutable_training()->set_global_batch(1024);
  job.mutable_training()->set_tile_elements(1 << 20);
  job.mutable_training()->set_recompute(RECOMPUTE_FULL);
  job.mutable_cluster()->mutable_wafer()->set_sram_bytes(uint64_t{1} << 37);
  const Plan plan = MustCompile(job, {.wafers = 1000, .memoryx = 64, .swarmx = 256});
  EXPECT_GT(plan.parameter_elements, 1'000'000'000'000);
  EXPECT_GT(plan.tiles.size(), 900'000u);
}

}  // namespace
}  // namespace waferstream
