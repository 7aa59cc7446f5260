#include "checkpoint/config.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/json.h"
#include "base/status.h"
#include "checkpoint/layout.h"

namespace waferstream {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kConfigBytesMax = 1 << 20;

bool Has(const Json& config, const char* key) {
  return config.contains(key) && !config[key].is_null();
}

absl::Status ReadSize(const std::string& path, const Json& config, const char* key,
                      uint32_t& value) {
  const bool good = Has(config, key) && config[key].is_number_unsigned() &&
                    config[key].get<uint64_t>() > 0 &&
                    config[key].get<uint64_t>() <= std::numeric_limits<uint32_t>::max();
  if (!good) return absl::DataLossError(absl::StrCat(path, ": ", key, " is not a positive number"));
  value = config[key].get<uint32_t>();
  return absl::OkStatus();
}

// A key that, when present, must have the one value that the model graph has built in.
absl::Status Require(const std::string& path, const Json& config, const char* key,
                     const Json& value) {
  if (!Has(config, key) || config[key] == value) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", key, " is ", config[key].dump(),
                                                 "; only ", value.dump(), " is supported"));
}

absl::Status CheckArchitectures(const std::string& path, const Json& config) {
  if (!Has(config, "architectures")) return absl::OkStatus();
  const Json& names = config["architectures"];
  const auto is_gpt2 = [](const Json& name) {
    return name.is_string() && absl::StartsWith(name.get_ref<const std::string&>(), "GPT2");
  };
  if (names.is_array() && std::all_of(names.begin(), names.end(), is_gpt2)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": architectures is ", names.dump(), "; only GPT2 is supported"));
}

// reorder_and_upcast_attn is not among them: the same is computed in another order.
absl::Status CheckBuiltIn(const std::string& path, const Json& config) {
  RETURN_IF_ERROR(Require(path, config, "model_type", "gpt2"));
  RETURN_IF_ERROR(Require(path, config, "activation_function", "gelu_new"));
  RETURN_IF_ERROR(Require(path, config, "scale_attn_weights", true));
  RETURN_IF_ERROR(Require(path, config, "scale_attn_by_inverse_layer_idx", false));
  RETURN_IF_ERROR(Require(path, config, "add_cross_attention", false));
  RETURN_IF_ERROR(Require(path, config, "pruned_heads", Json::object()));
  // The weights are then numbers of another kind, or the arithmetic is in a program beside them.
  RETURN_IF_ERROR(Require(path, config, "quantization_config", nullptr));
  RETURN_IF_ERROR(Require(path, config, "auto_map", nullptr));
  return CheckArchitectures(path, config);
}

absl::Status ReadOptional(const std::string& path, const Json& config, ModelSpec& model) {
  uint32_t ffn = 4 * model.hidden();
  if (Has(config, "n_inner")) RETURN_IF_ERROR(ReadSize(path, config, "n_inner", ffn));
  model.set_ffn(ffn);
  model.set_tied(true);
  if (Has(config, "tie_word_embeddings")) {
    if (!config["tie_word_embeddings"].is_boolean()) {
      return absl::DataLossError(absl::StrCat(path, ": tie_word_embeddings is not a boolean"));
    }
    model.set_tied(config["tie_word_embeddings"]);
  }
  model.set_norm_eps(1e-5);
  if (Has(config, "layer_norm_epsilon")) {
    if (!config["layer_norm_epsilon"].is_number()) {
      return absl::DataLossError(absl::StrCat(path, ": layer_norm_epsilon is not a number"));
    }
    model.set_norm_eps(config["layer_norm_epsilon"]);
  }
  return absl::OkStatus();
}

}  // namespace

std::string ConfigJson(const ModelSpec& model, Dtype dtype) {
  const Json config = {{"model_type", "gpt2"},
                       {"architectures", {"GPT2LMHeadModel"}},
                       {"activation_function", "gelu_new"},
                       {"n_layer", model.layers()},
                       {"n_head", model.heads()},
                       {"n_embd", model.hidden()},
                       {"n_positions", model.context()},
                       {"n_ctx", model.context()},
                       {"n_inner", model.ffn()},
                       {"vocab_size", model.vocab()},
                       {"layer_norm_epsilon", model.norm_eps()},
                       {"tie_word_embeddings", model.tied()},
                       {"attn_pdrop", 0.0},
                       {"embd_pdrop", 0.0},
                       {"resid_pdrop", 0.0},
                       {"bos_token_id", nullptr},
                       {"eos_token_id", nullptr},
                       {"torch_dtype", dtype == Dtype::kF32 ? "float32" : "bfloat16"}};
  return config.dump(2) + "\n";
}

absl::StatusOr<ModelSpec> ReadConfig(Disk& disk, const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/", kConfigFile);
  ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(disk, path, kConfigBytesMax));
  const absl::StatusOr<Json> parsed = ParseJson(text);
  if (!parsed.ok()) return absl::DataLossError(absl::StrCat(path, " ", parsed.status().message()));
  const Json& config = *parsed;
  if (!config.is_object()) return absl::DataLossError(absl::StrCat(path, " is not a JSON object"));
  RETURN_IF_ERROR(CheckBuiltIn(path, config));
  ModelSpec model;
  model.set_family("gpt2");
  uint32_t layers, heads, hidden, vocab, context;
  RETURN_IF_ERROR(ReadSize(path, config, "n_layer", layers));
  RETURN_IF_ERROR(ReadSize(path, config, "n_head", heads));
  RETURN_IF_ERROR(ReadSize(path, config, "n_embd", hidden));
  RETURN_IF_ERROR(ReadSize(path, config, "vocab_size", vocab));
  RETURN_IF_ERROR(ReadSize(path, config, "n_positions", context));
  model.set_layers(layers);
  model.set_heads(heads);
  model.set_hidden(hidden);
  model.set_vocab(vocab);
  model.set_context(context);
  RETURN_IF_ERROR(ReadOptional(path, config, model));
  return model;
}

absl::Status CheckSameModel(const std::string& folder, const ModelSpec& checkpoint,
                            const ModelSpec& job) {
  absl::Status status;
  const auto compare = [&](const char* field, auto there, auto here) {
    if (!status.ok() || there == here) return;
    status =
        absl::InvalidArgumentError(absl::StrCat("checkpoint ", folder, ": model.", field, " is ",
                                                there, " there and ", here, " in the job"));
  };
  compare("layers", checkpoint.layers(), job.layers());
  compare("hidden", checkpoint.hidden(), job.hidden());
  compare("heads", checkpoint.heads(), job.heads());
  compare("vocab", checkpoint.vocab(), job.vocab());
  compare("context", checkpoint.context(), job.context());
  compare("ffn", checkpoint.ffn(), job.ffn());
  compare("tied", checkpoint.tied(), job.tied());
  compare("norm_eps", checkpoint.norm_eps(), job.norm_eps());
  return status;
}

}  // namespace waferstream
