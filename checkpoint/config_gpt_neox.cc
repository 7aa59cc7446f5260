#include "base/status.h"
#include "checkpoint/config_families.h"
#include "plan/model.h"

namespace waferstream {

absl::Status ReadGptNeoxConfig(const ConfigKeys& config, ModelSpec& model) {
  RETURN_IF_ERROR(config.Require("hidden_act", "gelu"));
  RETURN_IF_ERROR(config.Require("attention_bias", true));
  RETURN_IF_ERROR(config.Require("rope_scaling", ConfigKeys::Json()));
  uint32_t layers, heads, hidden, vocab, context, ffn;
  RETURN_IF_ERROR(config.Size("num_hidden_layers", layers));
  RETURN_IF_ERROR(config.Size("num_attention_heads", heads));
  RETURN_IF_ERROR(config.Size("hidden_size", hidden));
  RETURN_IF_ERROR(config.Size("vocab_size", vocab));
  RETURN_IF_ERROR(config.Size("max_position_embeddings", context));
  RETURN_IF_ERROR(config.Size("intermediate_size", ffn));
  double theta, fraction, norm_eps;
  bool parallel, tied;
  RETURN_IF_ERROR(config.Real("rotary_emb_base", theta, 10000));
  RETURN_IF_ERROR(config.Real("rotary_pct", fraction, 0.25));
  // Of later versions.
  if (config.Has("rope_parameters") && config.At("rope_parameters").is_object()) {
    const ConfigKeys rotary = config.Within("rope_parameters");
    RETURN_IF_ERROR(rotary.Require("rope_type", "default"));
    RETURN_IF_ERROR(rotary.Real("rope_theta", theta, theta));
    RETURN_IF_ERROR(rotary.Real("partial_rotary_factor", fraction, fraction));
  }
  RETURN_IF_ERROR(config.Real("layer_norm_eps", norm_eps, 1e-5));
  RETURN_IF_ERROR(config.Flag("use_parallel_residual", parallel, true));
  RETURN_IF_ERROR(config.Flag("tie_word_embeddings", tied, false));
  model.set_layers(layers);
  model.set_heads(heads);
  model.set_hidden(hidden);
  model.set_vocab(vocab);
  model.set_context(context);
  model.set_ffn(ffn);
  model.set_rope_theta(theta);
  model.set_rope_fraction(fraction);
  model.set_norm_eps(norm_eps);
  model.set_sequential(!parallel);
  model.set_tied(tied);
  return absl::OkStatus();
}

void WriteGptNeoxConfig(const ModelSpec& asked, ConfigKeys::Json& config) {
  const ModelSpec model = WithDefaults(asked);
  config.update({{"hidden_act", "gelu"},
                 {"num_hidden_layers", model.layers()},
                 {"num_attention_heads", model.heads()},
                 {"hidden_size", model.hidden()},
                 {"intermediate_size", model.ffn()},
                 {"max_position_embeddings", model.context()},
                 {"rotary_emb_base", model.rope_theta()},
                 {"rotary_pct", model.rope_fraction()},
                 {"layer_norm_eps", model.norm_eps()},
                 {"use_parallel_residual", !model.sequential()},
                 {"attention_bias", true},
                 {"attention_dropout", 0.0},
                 {"hidden_dropout", 0.0}});
}

}  // namespace waferstream
