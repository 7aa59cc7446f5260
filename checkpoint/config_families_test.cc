// What a model can be, in its own words and in those of its config.json.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "absl/strings/str_split.h"
#include "checkpoint/config.h"
#include "checkpoint/folder.h"
#include "checkpoint/test_checkpoint.h"

namespace waferstream {
namespace {

using ::testing::HasSubstr;

ModelSpec ModelOf(const std::string& family) {
  ModelSpec model = OddJob("", /*tied=*/false).model();
  model.set_family(family);
  model.set_hidden(48);
  model.set_heads(4);
  if (family == "mixtral" || family == "qwen3_moe") {
    model.set_experts(5);
    model.set_experts_per_token(2);
  }
  return model;
}

// As the planner knows them: it names them to whoever asks for one that there is not.
std::vector<std::string> Families() {
  const std::string refused(BuildParameters(ModelOf("")).status().message());
  const std::pair<std::string, std::string> halves = absl::StrSplit(refused, "there is: ");
  return absl::StrSplit(halves.second, ", ");
}

absl::StatusOr<ModelSpec> Read(const std::string& folder, const std::string& config) {
  RETURN_IF_ERROR(WriteSmallFile(PosixDisk(), folder + "/config.json", config));
  return ReadConfig(PosixDisk(), folder);
}

TEST(ConfigFamilies, WhateverIsTrainedIsSaidByItsConfig) {
  const std::string folder = FreshFolder();
  const std::function<void(ModelSpec&)> changes[] = {
      [](ModelSpec&) {},
      [](ModelSpec& m) { m.set_tied(true); },
      [](ModelSpec& m) { m.set_norm_eps(3e-6); },
      [](ModelSpec& m) { m.set_kv_heads(2); },
      [](ModelSpec& m) { m.set_head_dim(14); },
      [](ModelSpec& m) { m.set_window(3); },
      [](ModelSpec& m) { m.set_window(1000); },
      [](ModelSpec& m) { m.set_sequential(true); },
      [](ModelSpec& m) { m.set_experts(6); },
      [](ModelSpec& m) { m.set_experts_per_token(3); },
      [](ModelSpec& m) { m.set_norm_topk(true); },
      [](ModelSpec& m) { m.set_router_aux_loss(0.25); },
      [](ModelSpec& m) { m.set_exact_gelu(true); },
      [](ModelSpec& m) { m.set_rope_theta(500); },
      [](ModelSpec& m) { m.set_rope_fraction(0.5); },
      [](ModelSpec& m) { m.set_rope_fraction(0.36); },
      [](ModelSpec& m) { m.set_rope_fraction(1); },
      [](ModelSpec& m) { m.set_rope_low_freq_factor(2); },
      [](ModelSpec& m) { m.set_rope_original_context(9); },
      [](ModelSpec& m) {
        m.set_rope_factor(4);
        m.set_rope_original_context(9);
      },
      [](ModelSpec& m) {
        m.set_rope_factor(4);
        m.set_rope_original_context(9);
        m.set_rope_low_freq_factor(2);
        m.set_rope_high_freq_factor(7);
      },
  };
  ASSERT_GE(Families().size(), 8u);
  for (const std::string& family : Families()) {
    int trained = 0;
    for (const auto& change : changes) {
      ModelSpec model = ModelOf(family);
      change(model);
      if (!BuildParameters(model).ok()) continue;
      ++trained;
      const auto read = Read(folder, ConfigJson(model, StoredDtype::kF32));
      ASSERT_TRUE(read.ok()) << read.status();
      EXPECT_EQ(CheckSameModel(folder, *read, model), absl::OkStatus()) << model.DebugString();
    }
    EXPECT_GE(trained, 3) << family;
  }
}

TEST(ConfigFamilies, GptjTurnsTheColumnsThatItsFileSays) {
  const std::string folder = FreshFolder();
  // 30 of 44, as a share and back, are a little less than 30.
  const auto model = Read(folder, R"({"model_type": "gptj", "n_layer": 1, "n_head": 2, "n_embd": 88,
      "vocab_size": 9, "n_positions": 8, "rotary_dim": 30})");
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(TurnedColumns(WithDefaults(*model)), 30);
  EXPECT_THAT(ConfigJson(*model, StoredDtype::kF32), HasSubstr("\"rotary_dim\": 30"));
}

TEST(ConfigFamilies, WhatIsNotBuiltInIsRefusedByItsKey) {
  const std::string folder = FreshFolder();
  const std::string sizes =
      R"("num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4,
         "hidden_size": 48, "intermediate_size": 9, "moe_intermediate_size": 9, "vocab_size": 9, "head_dim": 12,
         "max_position_embeddings": 8)";
  const auto read = [&](const std::string& family, const std::string& more) {
    return Read(folder, "{\"model_type\": \"" + family + "\", " + sizes + ", " + more + "}")
        .status();
  };
  const std::pair<const char*, const char*> good[] = {
      {"llama", R"("rope_scaling": null)"},
      {"llama", R"("partial_rotary_factor": 1.0)"},
      {"llama", R"("rope_parameters": {"rope_type": "default", "rope_theta": 5})"},
      {"qwen2", R"("layer_types": ["full_attention", "full_attention"])"},
      {"mistral", R"("layer_types": ["full_attention", "sliding_attention"])"},
      {"gpt_neox", R"("rope_parameters": null)"},
  };
  for (const auto& [family, more] : good) EXPECT_EQ(read(family, more), absl::OkStatus()) << more;
  struct Case {
    const char* family;
    const char* more;
    const char* named;
  };
  const Case bad[] = {
      {"llama", R"("hidden_act": "gelu")", "hidden_act is \"gelu\""},
      {"llama", R"("mlp_bias": true)", "mlp_bias is true"},
      {"llama", R"("rope_scaling": "twice")", "rope_scaling is not an object"},
      {"llama", R"("rope_scaling": {"type": "linear", "factor": 2})", "type is \"linear\""},
      {"llama", R"("partial_rotary_factor": 0.5)", "partial_rotary_factor is 0.5"},
      {"llama", R"("rope_parameters": {"partial_rotary_factor": 0.5})",
       "rope_parameters: partial_rotary_factor is 0.5"},
      {"llama", R"("rope_scaling": {"rope_type": "llama3", "factor": 8})",
       "original_max_position_embeddings is not a positive number"},
      {"qwen2", R"("use_sliding_window": true)", "use_sliding_window is true"},
      {"qwen2", R"("layer_types": ["sliding_attention", "full_attention"])", "layer_types is ["},
      {"qwen3", R"("layer_types": {"0": "sliding_attention"})", "layer_types is {"},
      {"qwen3", R"("layer_types": "full_attention")", "layer_types is \""},
      {"mixtral", R"("router_jitter_noise": 0.1)", "router_jitter_noise is 0.1"},
      {"qwen3_moe", R"("decoder_sparse_step": 2)", "decoder_sparse_step is 2"},
      {"qwen3_moe", R"("mlp_only_layers": [0])", "mlp_only_layers is [0]"},
      {"gpt_neox", R"("rope_parameters": [10000])", "rope_parameters is not an object"},
      {"gpt_neox", R"("rope_parameters": {"rope_type": "llama3"})", "rope_type is \"llama3\""},
      {"gpt_neox", R"("attention_bias": false)", "attention_bias is false"},
  };
  for (const Case& c : bad) {
    const absl::Status status = read(c.family, c.more);
    EXPECT_FALSE(status.ok()) << c.more;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.named)) << c.more;
  }
}

}  // namespace
}  // namespace waferstream
