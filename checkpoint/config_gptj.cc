#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "checkpoint/config_families.h"

namespace waferstream {

absl::Status ReadGptjConfig(const ConfigKeys& config, ModelSpec& model) {
  RETURN_IF_ERROR(config.Require("activation_function", "gelu_new"));
  uint32_t layers, heads, hidden, vocab, context, ffn, turned;
  RETURN_IF_ERROR(config.Size("n_layer", layers));
  RETURN_IF_ERROR(config.Size("n_head", heads));
  RETURN_IF_ERROR(config.Size("n_embd", hidden));
  RETURN_IF_ERROR(config.Size("vocab_size", vocab));
  RETURN_IF_ERROR(config.Size("n_positions", context));
  RETURN_IF_ERROR(config.Size("n_inner", ffn, 4 * hidden));
  const uint32_t dim = hidden / heads;
  RETURN_IF_ERROR(config.Size("rotary_dim", turned, 64));
  if (turned > dim) {
    return config.Unsupported(
        absl::StrCat("rotary_dim is ", turned, ", and a head has ", dim, " columns"));
  }
  bool tied;
  double norm_eps;
  RETURN_IF_ERROR(config.Flag("tie_word_embeddings", tied, false));
  RETURN_IF_ERROR(config.Real("layer_norm_epsilon", norm_eps, 1e-5));
  model.set_layers(layers);
  model.set_heads(heads);
  model.set_hidden(hidden);
  model.set_vocab(vocab);
  model.set_context(context);
  model.set_ffn(ffn);
  model.set_rope_fraction(static_cast<double>(turned) / dim);
  model.set_tied(tied);
  model.set_norm_eps(norm_eps);
  return absl::OkStatus();
}

void WriteGptjConfig(const ModelSpec& model, ConfigKeys::Json& config) {
  const uint32_t dim = model.hidden() / model.heads();
  const double fraction = model.rope_fraction() == 0 ? 1 : model.rope_fraction();
  config.update({{"activation_function", "gelu_new"},
                 {"n_layer", model.layers()},
                 {"n_head", model.heads()},
                 {"n_embd", model.hidden()},
                 {"n_positions", model.context()},
                 {"n_inner", model.ffn()},
                 {"rotary_dim", static_cast<uint32_t>(fraction * dim)},
                 {"layer_norm_epsilon", model.norm_eps()},
                 {"attn_pdrop", 0.0},
                 {"embd_pdrop", 0.0},
                 {"resid_pdrop", 0.0}});
}

}  // namespace waferstream
