#include "checkpoint/config.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/json.h"
#include "base/status.h"
#include "checkpoint/config_families.h"
#include "checkpoint/layout.h"
#include "plan/model.h"

namespace waferstream {
namespace {

using Json = ConfigKeys::Json;

constexpr uint64_t kConfigBytesMax = 1 << 20;

// A family and Hugging Face's model_type have one name.
struct Kind {
  absl::string_view family;
  absl::string_view architecture;  // of the model that is trained; others begin with its first word
  absl::string_view beginning;
  absl::Status (*read)(const ConfigKeys& config, ModelSpec& model);
  void (*write)(const ModelSpec& model, Json& config);
};
constexpr Kind kKinds[] = {
    {"gpt2", "GPT2LMHeadModel", "GPT2", ReadGpt2Config, WriteGpt2Config},
    {"gpt_neox", "GPTNeoXForCausalLM", "GPTNeoX", ReadGptNeoxConfig, WriteGptNeoxConfig},
    {"gptj", "GPTJForCausalLM", "GPTJ", ReadGptjConfig, WriteGptjConfig},
    {"llama", "LlamaForCausalLM", "Llama", ReadLlamaConfig, WriteLlamaConfig},
    {"mistral", "MistralForCausalLM", "Mistral", ReadLlamaConfig, WriteLlamaConfig},
    {"mixtral", "MixtralForCausalLM", "Mixtral", ReadLlamaConfig, WriteLlamaConfig},
    {"olmo2", "Olmo2ForCausalLM", "Olmo2", ReadLlamaConfig, WriteLlamaConfig},
    {"qwen2", "Qwen2ForCausalLM", "Qwen2", ReadLlamaConfig, WriteLlamaConfig},
    {"qwen3", "Qwen3ForCausalLM", "Qwen3", ReadLlamaConfig, WriteLlamaConfig},
    {"qwen3_moe", "Qwen3MoeForCausalLM", "Qwen3Moe", ReadLlamaConfig, WriteLlamaConfig},
};

const Kind* Find(absl::string_view family) {
  const auto* end = std::end(kKinds);
  const auto* kind =
      std::find_if(std::begin(kKinds), end, [&](const Kind& k) { return k.family == family; });
  return kind == end ? nullptr : kind;
}

// Files of old have no model_type: they are GPT-2's.
absl::StatusOr<const Kind*> KindOf(const ConfigKeys& config) {
  const Json type = config.Has("model_type") ? config.At("model_type") : Json("gpt2");
  const Kind* kind = type.is_string() ? Find(type.get_ref<const std::string&>()) : nullptr;
  if (kind != nullptr) return kind;
  std::string known;
  for (const Kind& k : kKinds) absl::StrAppend(&known, known.empty() ? "" : ", ", k.family);
  return config.Unsupported(
      absl::StrCat("model_type is ", type.dump(), "; only one of ", known, " is supported"));
}

// Our own key: other programs take the plain model, and find tensors that they do not know.
constexpr char kLora[] = "waferstream_lora";

Json LoraJson(const Lora& lora) {
  Json json = {{"rank", lora.rank()}, {"alpha", lora.alpha()}, {"dropout", lora.dropout()}};
  json["targets"] = std::vector<std::string>(lora.targets().begin(), lora.targets().end());
  return json;
}

absl::Status ReadLora(const ConfigKeys& config, Lora& lora) {
  uint32_t rank = 0;
  double alpha = 0, dropout = 0;
  RETURN_IF_ERROR(config.Size("rank", rank));
  RETURN_IF_ERROR(config.Real("alpha", alpha, 0));
  RETURN_IF_ERROR(config.Real("dropout", dropout, 0));
  lora.set_rank(rank);
  lora.set_alpha(alpha);
  lora.set_dropout(dropout);
  if (!config.Has("targets") || !config.At("targets").is_array()) {
    return config.Wrong("targets is no list");
  }
  for (const Json& target : config.At("targets")) {
    if (!target.is_string()) return config.Wrong("targets has an entry that is no text");
    lora.add_targets(target.get<std::string>());
  }
  return absl::OkStatus();
}

// Text of adapters, to compare and to show.
std::string Describe(const Lora& lora) {
  return absl::StrCat("rank ", lora.rank(), ", alpha ", lora.alpha(), " of ",
                      absl::StrJoin(lora.targets(), ", "));
}

}  // namespace

std::string ConfigJson(const ModelSpec& model, StoredDtype dtype) {
  const Kind* kind = Find(model.family());
  WS_CHECK(kind != nullptr);
  Json config = {{"model_type", kind->family},       {"architectures", {kind->architecture}},
                 {"bos_token_id", nullptr},          {"eos_token_id", nullptr},
                 {"pad_token_id", nullptr},  // some loaders never train its embedding
                 {"torch_dtype", TorchNameOf(dtype)}};
  kind->write(model, config);
  if (model.has_lora()) config[kLora] = LoraJson(model.lora());
  return config.dump(2) + "\n";
}

absl::StatusOr<ModelSpec> ReadConfig(Disk& disk, const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/", kConfigFile);
  ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(disk, path, kConfigBytesMax));
  absl::StatusOr<Json> parsed = ParseJson(text);
  if (!parsed.ok()) return absl::DataLossError(absl::StrCat(path, " ", parsed.status().message()));
  if (!parsed->is_object()) return absl::DataLossError(absl::StrCat(path, " is not a JSON object"));
  const ConfigKeys config(path, *std::move(parsed));
  ASSIGN_OR_RETURN(const Kind* kind, KindOf(config));
  RETURN_IF_ERROR(config.RequireArchitecture(kind->beginning));
  // The weights are then numbers of another kind, or the arithmetic is in a program beside them.
  RETURN_IF_ERROR(config.Require("quantization_config", nullptr));
  RETURN_IF_ERROR(config.Require("auto_map", nullptr));
  ModelSpec model;
  model.set_family(std::string(kind->family));
  RETURN_IF_ERROR(kind->read(config, model));
  if (config.Has(kLora)) {
    ASSIGN_OR_RETURN(const ConfigKeys lora, config.Within(kLora));
    RETURN_IF_ERROR(ReadLora(lora, *model.mutable_lora()));
  }
  return model;
}

absl::Status CheckSameModel(const std::string& folder, const ModelSpec& checkpoint,
                            const ModelSpec& asked) {
  const ModelSpec there = WithDefaults(checkpoint), here = WithDefaults(asked);
  absl::Status status;
  const auto compare = [&](const char* field, auto theirs, auto ours) {
    if (!status.ok() || theirs == ours) return;
    status =
        absl::InvalidArgumentError(absl::StrCat("checkpoint ", folder, ": model.", field, " is ",
                                                theirs, " there and ", ours, " in the job"));
  };
  compare("family", there.family(), here.family());
  compare("layers", there.layers(), here.layers());
  compare("hidden", there.hidden(), here.hidden());
  compare("heads", there.heads(), here.heads());
  compare("vocab", there.vocab(), here.vocab());
  // Learned positions are a parameter; others go as far as one likes.
  if (here.family() == "gpt2") compare("context", there.context(), here.context());
  compare("ffn", there.ffn(), here.ffn());
  compare("tied", there.tied(), here.tied());
  compare("norm_eps", there.norm_eps(), here.norm_eps());
  compare("kv_heads", there.kv_heads(), here.kv_heads());
  compare("head_dim", there.head_dim(), here.head_dim());
  compare("window", there.window(), here.window());
  compare("rope_theta", there.rope_theta(), here.rope_theta());
  compare("rope_fraction, in columns,", TurnedColumns(there), TurnedColumns(here));
  compare("rope_factor", there.rope_factor(), here.rope_factor());
  compare("rope_low_freq_factor", there.rope_low_freq_factor(), here.rope_low_freq_factor());
  compare("rope_high_freq_factor", there.rope_high_freq_factor(), here.rope_high_freq_factor());
  compare("sequential", there.sequential(), here.sequential());
  compare("experts", there.experts(), here.experts());
  compare("experts_per_token", there.experts_per_token(), here.experts_per_token());
  compare("norm_topk", there.norm_topk(), here.norm_topk());
  compare("exact_gelu", there.exact_gelu(), here.exact_gelu());
  compare("rope_original_context", there.rope_original_context(), here.rope_original_context());
  // A plain model's may be given adapters.
  if (there.has_lora()) {
    compare("lora", Describe(there.lora()), here.has_lora() ? Describe(here.lora()) : "none");
  }
  return status;
}

}  // namespace waferstream
