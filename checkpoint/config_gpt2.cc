#include "base/status.h"
#include "checkpoint/config_families.h"

namespace waferstream {
namespace {

// reorder_and_upcast_attn is not among them: the same is computed in another order.
absl::Status CheckBuiltIn(const ConfigKeys& config) {
  RETURN_IF_ERROR(config.Require("activation_function", "gelu_new"));
  RETURN_IF_ERROR(config.Require("scale_attn_weights", true));
  RETURN_IF_ERROR(config.Require("scale_attn_by_inverse_layer_idx", false));
  RETURN_IF_ERROR(config.Require("add_cross_attention", false));
  return config.Require("pruned_heads", ConfigKeys::Json::object());
}

}  // namespace

absl::Status ReadGpt2Config(const ConfigKeys& config, ModelSpec& model) {
  RETURN_IF_ERROR(CheckBuiltIn(config));
  uint32_t layers, heads, hidden, vocab, context, ffn;
  RETURN_IF_ERROR(config.Size("n_layer", layers));
  RETURN_IF_ERROR(config.Size("n_head", heads));
  RETURN_IF_ERROR(config.Size("n_embd", hidden));
  RETURN_IF_ERROR(config.Size("vocab_size", vocab));
  RETURN_IF_ERROR(config.Size("n_positions", context));
  RETURN_IF_ERROR(config.Size("n_inner", ffn, 4 * hidden));
  bool tied;
  double norm_eps;
  RETURN_IF_ERROR(config.Flag("tie_word_embeddings", tied, true));
  RETURN_IF_ERROR(config.Real("layer_norm_epsilon", norm_eps, 1e-5));
  model.set_layers(layers);
  model.set_heads(heads);
  model.set_hidden(hidden);
  model.set_vocab(vocab);
  model.set_context(context);
  model.set_ffn(ffn);
  model.set_tied(tied);
  model.set_norm_eps(norm_eps);
  return absl::OkStatus();
}

void WriteGpt2Config(const ModelSpec& model, ConfigKeys::Json& config) {
  config.update({{"activation_function", "gelu_new"},
                 {"n_layer", model.layers()},
                 {"n_head", model.heads()},
                 {"n_embd", model.hidden()},
                 {"n_positions", model.context()},
                 {"n_ctx", model.context()},
                 {"n_inner", model.ffn()},
                 {"layer_norm_epsilon", model.norm_eps()},
                 {"attn_pdrop", 0.0},
                 {"embd_pdrop", 0.0},
                 {"resid_pdrop", 0.0}});
}

}  // namespace waferstream
