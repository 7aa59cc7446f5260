// Llama's kin have one vocabulary of keys, and their own defaults.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "checkpoint/config_families.h"
#include "checkpoint/config_shape.h"
#include "plan/model.h"

namespace waferstream {
namespace {

using Json = ConfigKeys::Json;

// Of Qwen3-MoE the MLP that has no experts goes by the name, and there is none.
ShapeKeys KeysOf(absl::string_view family) {
  ShapeKeys keys = LaterKeys("rms_norm_eps");
  if (family == "qwen3_moe") keys.ffn = "moe_intermediate_size";
  return keys;
}

// What a key means that is not there. 0: as many as there are heads; hidden / heads.
struct Defaults {
  uint32_t kv_heads = 0;
  uint32_t head_dim = 0;
  uint32_t window = 0;
  double norm_eps = 1e-6;
  double rope_theta = 10000;
  // 0: the family has none.
  uint32_t experts = 0;
  uint32_t experts_per_token = 0;
};

Defaults DefaultsOf(absl::string_view family) {
  if (family == "mistral") return {.kv_heads = 8, .window = 4096};
  if (family == "mixtral") {
    return {
        .kv_heads = 8, .norm_eps = 1e-5, .rope_theta = 1e6, .experts = 8, .experts_per_token = 2};
  }
  if (family == "qwen3_moe") return {.kv_heads = 4, .experts = 128, .experts_per_token = 8};
  if (family == "qwen2") return {.kv_heads = 32};
  if (family == "qwen3") return {.kv_heads = 32, .head_dim = 128};
  if (family == "olmo2") return {.norm_eps = 1e-5};
  return {};
}

bool HasWindow(absl::string_view family) { return family == "mistral" || family == "mixtral"; }

absl::Status CheckBuiltIn(const ConfigKeys& config, absl::string_view family) {
  RETURN_IF_ERROR(config.Require("hidden_act", "silu"));
  RETURN_IF_ERROR(config.Require("attention_bias", false));
  RETURN_IF_ERROR(config.Require("mlp_bias", false));
  RETURN_IF_ERROR(config.Require("use_sliding_window", false));
  // Mistral and Mixtral have no such key: sliding_window is every layer's.
  if (!config.Has("layer_types") || HasWindow(family)) return absl::OkStatus();
  const Json& types = config.At("layer_types");
  const auto is_full = [](const Json& type) { return type == "full_attention"; };
  if (types.is_array() && std::all_of(types.begin(), types.end(), is_full)) {
    return absl::OkStatus();
  }
  return config.Unsupported(absl::StrCat("layer_types is ", types.dump(),
                                         "; only \"full_attention\" in every layer is supported"));
}

absl::Status ReadScaling(const ConfigKeys& config, ModelSpec& model) {
  const char* key = config.Has("rope_type") ? "rope_type" : "type";
  if (!config.Has(key) || config.At(key) == "default") return absl::OkStatus();
  if (config.At(key) != "llama3") {
    return config.Unsupported(absl::StrCat(key, " is ", config.At(key).dump(),
                                           "; only \"default\" and \"llama3\" are supported"));
  }
  double factor, low, high;
  uint32_t context;
  RETURN_IF_ERROR(config.Real("factor", factor, 0));
  RETURN_IF_ERROR(config.Real("low_freq_factor", low, 1));
  RETURN_IF_ERROR(config.Real("high_freq_factor", high, 4));
  RETURN_IF_ERROR(config.Size("original_max_position_embeddings", context));
  if (factor < 1) return config.Wrong("factor is not a number of at least 1");
  model.set_rope_factor(factor);
  model.set_rope_low_freq_factor(low);
  model.set_rope_high_freq_factor(high);
  model.set_rope_original_context(context);
  return absl::OkStatus();
}

// rope_theta and rope_scaling, or, of later versions, both in rope_parameters.
absl::Status ReadRotary(const ConfigKeys& config, ModelSpec& model) {
  const bool together = config.Has("rope_parameters");
  const char* section = together ? "rope_parameters" : "rope_scaling";
  std::optional<ConfigKeys> within;
  if (config.Has(section)) {
    ASSIGN_OR_RETURN(within, config.Within(section));
  }
  const ConfigKeys& rotary = together ? *within : config;
  double theta;
  RETURN_IF_ERROR(rotary.Real("rope_theta", theta, DefaultsOf(model.family()).rope_theta));
  // Their loader knows no other, or takes no notice.
  RETURN_IF_ERROR(rotary.Require("partial_rotary_factor", 1));
  model.set_rope_theta(theta);
  return within.has_value() ? ReadScaling(*within, model) : absl::OkStatus();
}

// transformers' two names of one number: either family's files have either.
const char* KeyOfExperts(const ConfigKeys& config) {
  return config.Has("num_experts") ? "num_experts" : "num_local_experts";
}

absl::Status ReadExperts(const ConfigKeys& config, const Defaults& defaults, ModelSpec& model) {
  uint32_t experts, chosen;
  bool norm_topk, balances;
  double aux_loss;
  RETURN_IF_ERROR(config.Require("router_jitter_noise", 0.0));
  RETURN_IF_ERROR(config.Require("decoder_sparse_step", 1));
  RETURN_IF_ERROR(config.Require("mlp_only_layers", Json::array()));
  RETURN_IF_ERROR(config.Size(KeyOfExperts(config), experts, defaults.experts));
  RETURN_IF_ERROR(config.Size("num_experts_per_tok", chosen, defaults.experts_per_token));
  RETURN_IF_ERROR(config.Flag("norm_topk_prob", norm_topk, false));
  RETURN_IF_ERROR(config.Flag("output_router_logits", balances, false));
  RETURN_IF_ERROR(config.Real("router_aux_loss_coef", aux_loss, 0.001));
  model.set_experts(experts);
  model.set_experts_per_token(chosen);
  // Mixtral knows no such key: its weights always add up to 1.
  model.set_norm_topk(norm_topk && model.family() == "qwen3_moe");
  // The loss has it only if the logits are asked for.
  model.set_router_aux_loss(balances ? aux_loss : 0);
  return absl::OkStatus();
}

void WriteExperts(const ModelSpec& model, Json& config) {
  const bool balances = model.router_aux_loss() != 0;
  config.update({{"num_experts_per_tok", model.experts_per_token()},
                 {"output_router_logits", balances},
                 {"router_aux_loss_coef", model.router_aux_loss()}});
  if (model.family() == "mixtral") {
    config["num_local_experts"] = model.experts();
    return;
  }
  config.update({{"num_experts", model.experts()},
                 {"norm_topk_prob", model.norm_topk()},
                 {"intermediate_size", model.ffn()},
                 {"decoder_sparse_step", 1},
                 {"mlp_only_layers", Json::array()}});
}

}  // namespace

absl::Status ReadLlamaConfig(const ConfigKeys& config, ModelSpec& model) {
  RETURN_IF_ERROR(CheckBuiltIn(config, model.family()));
  const Defaults defaults = DefaultsOf(model.family());
  RETURN_IF_ERROR(
      ReadShape(config, KeysOf(model.family()), {.norm_eps = defaults.norm_eps}, model));
  uint32_t kv_heads, head_dim;
  RETURN_IF_ERROR(config.Size("num_key_value_heads", kv_heads,
                              defaults.kv_heads == 0 ? model.heads() : defaults.kv_heads));
  RETURN_IF_ERROR(
      config.Size("head_dim", head_dim,
                  defaults.head_dim == 0 ? model.hidden() / model.heads() : defaults.head_dim));
  model.set_kv_heads(kv_heads);
  model.set_head_dim(head_dim);
  if (defaults.experts != 0) RETURN_IF_ERROR(ReadExperts(config, defaults, model));
  if (HasWindow(model.family())) {
    uint32_t window = 0;
    if (!config.IsNull("sliding_window")) {
      RETURN_IF_ERROR(config.Size("sliding_window", window, defaults.window));
    }
    model.set_window(window);
  }
  return ReadRotary(config, model);
}

void WriteLlamaConfig(const ModelSpec& asked, Json& config) {
  const ModelSpec model = WithDefaults(asked);
  WriteShape(model, KeysOf(model.family()), config);
  config.update({{"hidden_act", "silu"},
                 {"num_key_value_heads", model.kv_heads()},
                 {"head_dim", model.head_dim()},
                 {"rope_theta", model.rope_theta()},
                 {"attention_bias", false},
                 {"attention_dropout", 0.0}});
  if (model.family() == "llama") config["mlp_bias"] = false;
  if (model.experts() != 0) WriteExperts(model, config);
  if (HasWindow(model.family())) {
    config["sliding_window"] = model.window() == 0 ? Json() : Json(model.window());
  }
  config["rope_scaling"] = nullptr;
  if (model.rope_factor() == 0) return;
  config["rope_scaling"] = {{"rope_type", "llama3"},
                            {"factor", model.rope_factor()},
                            {"low_freq_factor", model.rope_low_freq_factor()},
                            {"high_freq_factor", model.rope_high_freq_factor()},
                            {"original_max_position_embeddings", model.rope_original_context()}};
}

}  // namespace waferstream
